"""The Hub's layout in local folders; nothing here reaches the Hub."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lamnet
from lamnet.base.errors import BadWeightsError, MissingExtraError
from lamnet.core.config import LAMNetConfig
from lamnet.integrations.hub import Card, card_text, from_pretrained, push_to_hub, save_pretrained, shipped_card
from support.exports import CONFIGS, lively

huggingface_hub = pytest.importorskip("huggingface_hub", reason="pip install -e '.[hub]'")
yaml = pytest.importorskip("yaml", reason="pip install -e '.[hub]'")

CARD = Card("Mine", "cc-by-4.0", "Photographs of my own.")


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_what_is_saved_comes_back_with_its_window(config: LAMNetConfig, tmp_path: Path) -> None:
    network = lively(config)
    save_pretrained(network, tmp_path / "a" / "b", CARD)
    assert sorted(file.name for file in (tmp_path / "a" / "b").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    found = from_pretrained(tmp_path / "a" / "b")
    assert found.config == config
    assert not found.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)
    stated = json.loads((tmp_path / "a" / "b" / "config.json").read_text())
    assert stated["window"] == {"starts": list(config.window.starts), "lengths": list(config.window.lengths)}


def metadata(text: str) -> dict[str, Any]:
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def test_metadata_of_a_card_is_what_the_hub_reads() -> None:
    card = shipped_card("tiny", 4)
    text = card_text(lamnet.load("tiny", 4), card)
    facts = metadata(text)
    assert (facts["license"], facts["library_name"], facts["pipeline_tag"]) == (
        "apache-2.0",
        "lamnet",
        "image-to-image",
    )
    assert "div2k" in facts["datasets"]
    (model,) = facts["model-index"]
    assert model["name"] == "LAMNet tiny x4"
    scores = {
        (result["dataset"]["name"], metric["type"]): metric["value"]
        for result in model["results"]
        for metric in result["metrics"]
    }
    assert card.evaluation is not None
    assert scores["Set5", "psnr"] == round(card.evaluation["sets"]["Set5"]["psnr_y"], 4)
    assert len(scores) == 2 * len(card.evaluation["sets"])
    assert huggingface_hub.ModelCard(text).data.license == "apache-2.0"
    assert "whose terms allow research only" in text
    assert "DIV2K" in text


def test_infinite_scores_and_none_are_left_out() -> None:
    network = lively(CONFIGS["one tap beside the pixel"])
    assert "model-index" not in metadata(card_text(network, CARD))
    equal = {"scale": 4, "sets": {"A": {"psnr_y": None, "ssim_y": 1.0}, "B": {"psnr_y": float("inf")}}}
    facts = metadata(card_text(network, Card("Mine", "mit", "None.", (), equal)))
    assert facts["license"] == "mit"
    (result,) = facts["model-index"][0]["results"]
    assert [metric["type"] for metric in result["metrics"]] == ["ssim"]


@pytest.mark.thorough
def test_damaged_and_contradicting_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWeightsError, match=r"model\.safetensors: no such model"):
        from_pretrained(tmp_path)
    save_pretrained(lively(CONFIGS["one tap beside the pixel"]), tmp_path, CARD)
    stated = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**stated, "window": {"starts": [0], "lengths": [1]}}))
    with pytest.raises(BadWeightsError, match=r"config\.json: expected the configuration in the header"):
        from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadWeightsError, match=r"config\.json: expected a configuration as JSON"):
        from_pretrained(tmp_path)


def test_a_name_that_is_no_folder_and_no_repository_is_refused() -> None:
    with pytest.raises(BadWeightsError, match="expected a folder or a repository on the Hub"):
        from_pretrained("no such/thing/at all")


def test_a_push_makes_the_repository_and_uploads_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Api:
        def __init__(self, token: str | None, library_name: str) -> None:
            calls.append((token, library_name))

        def create_repo(self, repo_id: str, private: bool, exist_ok: bool) -> None:
            calls.append((repo_id, private, exist_ok))

        def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> str:
            calls.append((repo_id, from_pretrained(folder_path).config, commit_message))
            return "https://commit"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    config = CONFIGS["one tap beside the pixel"]
    assert push_to_hub(lively(config), "me/mine", CARD, private=True, token="secret") == "https://commit"
    assert calls == [("secret", "lamnet"), ("me/mine", True, True), ("me/mine", config, "Mine")]

    def refuse(self: Api, repo_id: str, private: bool, exist_ok: bool) -> None:
        raise OSError("401\nunauthorised")

    monkeypatch.setattr(Api, "create_repo", refuse)
    with pytest.raises(BadWeightsError, match="me/mine: cannot be uploaded: 401 unauthorised"):
        push_to_hub(lively(config), "me/mine", CARD)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[hub\]"):
        from_pretrained("me/mine")
