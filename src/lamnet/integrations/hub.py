"""Networks to and from the Hugging Face Hub, or a folder laid out like a repository there.

A repository holds `model.safetensors`, a weights file of ours as `lamnet.load` takes it; `config.json`, its configuration
for programs that do not read headers; and `README.md`, a model card with the metadata that the Hub reads.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lamnet.base import records
from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.base.extras import require
from lamnet.base.files import read_text, write_text
from lamnet.core import shipped
from lamnet.core.config import SIZES, LAMNetConfig
from lamnet.network import weights
from lamnet.network.model import LAMNet

_WEIGHTS, _CONFIG, _CARD = "model.safetensors", "config.json", "README.md"
_METRICS = {"psnr_y": ("psnr", "PSNR-Y, dB"), "ssim_y": ("ssim", "SSIM-Y")}


@dataclass(frozen=True)
class Card:
    """The contents of a model card that do not follow from the network.

    Attributes:
        name: of the model, a heading.
        license: of the weights, as the Hub writes it: "apache-2.0".
        data: the training data and their terms, Markdown.
        datasets: names of the sets of photographs.
        evaluation: as `lamnet evaluate --json` writes it, None without one.
    """

    name: str
    license: str
    data: str
    datasets: Sequence[str] = ()
    evaluation: Mapping[str, Any] | None = None


def shipped_card(size: str, scale: int) -> Card:
    """Make the card of weights that come with the package. Raises BadWeightsError when there are none."""
    path = shipped.shipped_path(size, scale)
    evaluation, notes = path.with_suffix(".json"), path.with_suffix(".md")
    terms = (
        "Some of the photographs are DIV2K's and BSDS500's, whose terms allow research only. Whether weights come under the "
        "terms of what they were trained on is not settled: who uses them for anything else decides that for themselves."
    )
    record = notes.read_text(encoding="utf-8").partition("\n")[2].strip() if notes.is_file() else ""
    return Card(
        name=f"LAMNet {size} x{scale}",
        license="apache-2.0",
        data=f"{terms}\n\n{record}",
        datasets=("div2k", "bsds500"),
        evaluation=json.loads(evaluation.read_text(encoding="utf-8")) if evaluation.is_file() else None,
    )


def save_pretrained(network: LAMNet, folder: str | Path, card: Card) -> None:
    """Write weights, configuration and model card into a folder, which is made where it is missing.

    Raises:
        BadDataError, BadWeightsError: a file cannot be written.
        MissingExtraError: huggingface_hub, which writes the card's metadata, is not installed.
    """
    folder = Path(folder)
    text = card_text(network, card)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadDataError(f"{folder}: cannot be made: {error.strerror}") from error
    weights.save(network, folder / _WEIGHTS)
    write_text(folder / _CONFIG, json.dumps(_configuration(network.config), indent=1) + "\n")
    write_text(folder / _CARD, text)


def from_pretrained(repository: str | Path, revision: str | None = None, token: str | None = None) -> LAMNet:
    """Load a network, in eval mode on the CPU, from a folder that `save_pretrained` wrote or a repository on the Hub.

    Args:
        repository: a folder, or "owner/name".
        revision: branch, tag or commit on the Hub.
        token: for a private repository; None takes the one that `hf auth login` stored.

    Raises:
        BadWeightsError: no such folder or repository, or it holds no whole LAMNet.
        MissingExtraError: a repository without huggingface_hub installed.
    """
    folder = Path(repository)
    if not folder.is_dir():
        folder = _downloaded(str(repository), revision, token)
    network = weights.load(folder / _WEIGHTS)
    if (stated := folder / _CONFIG).is_file():
        try:
            agrees = records.parsed(read_text(stated)) == _configuration(network.config)
        except (OSError, ValueError) as error:
            raise BadWeightsError(f"{stated}: expected a configuration as JSON, found {error}") from error
        if not agrees:
            raise BadWeightsError(f"{stated}: expected the configuration in the header of {_WEIGHTS}, found another")
    return network


def push_to_hub(network: LAMNet, repository: str, card: Card, private: bool = False, token: str | None = None) -> str:
    """Make the repository "owner/name" where it is missing, put the network there, and return the commit's address.

    Raises BadWeightsError with what the Hub answered when it refuses, and as `save_pretrained`.
    """
    hub = require("huggingface_hub", "hub", f"{repository}: the Hub")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(network, folder, card)
        try:
            api = hub.HfApi(token=token, library_name="lamnet")
            api.create_repo(repository, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=card.name))
        except (OSError, ValueError) as error:  # what huggingface_hub raises for the Hub's answers, names, no network
            raise BadWeightsError(f"{repository}: cannot be uploaded: {' '.join(str(error).split())}") from error


def card_text(network: LAMNet, card: Card) -> str:
    """Write the model card: metadata as YAML between lines of dashes, then Markdown."""
    hub = require("huggingface_hub", "hub", f"{card.name}: a model card")
    scale = network.config.scale
    data = hub.ModelCardData(
        model_name=card.name,
        license=card.license,
        library_name="lamnet",
        pipeline_tag="image-to-image",
        tags=["super-resolution", "image-upscaling", "lamnet", f"x{scale}"],
        datasets=list(card.datasets) or None,
        metrics=["psnr", "ssim"] if card.evaluation else None,
        eval_results=_results(hub, card.evaluation) if card.evaluation else None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{_text(network, card)}"


def _text(network: LAMNet, card: Card) -> str:
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return f"""# {card.name}

Single-image super-resolution, x{network.config.scale}, with {parameters:,} parameters: the Linear Adaptive Mixer Network
([arXiv 2409.17597](https://arxiv.org/abs/2409.17597)) in [lamnet](https://pypi.org/project/lamnet-sr/).

    from lamnet import Upscaler
    from lamnet.integrations import hub

    upscaler = Upscaler(hub.from_pretrained("OWNER/NAME"))
    upscaler.file("photo.jpg", "photo_x{network.config.scale}.jpg")

## Training data

{card.data}
"""


def _results(hub: Any, evaluation: Mapping[str, Any]) -> list[Any]:
    """List the means of each benchmark, without the PSNR of equal pictures, which is infinite or null."""
    return [
        hub.EvalResult(
            task_type="image-to-image",
            task_name=f"super-resolution x{evaluation['scale']}",
            dataset_type=benchmark.lower(),
            dataset_name=benchmark,
            metric_type=kind,
            metric_name=name,
            metric_value=round(float(scores[metric]), 4),
        )
        for benchmark, scores in evaluation["sets"].items()
        for metric, (kind, name) in _METRICS.items()
        if scores.get(metric) is not None and math.isfinite(scores[metric])
    ]


def _configuration(config: LAMNetConfig) -> dict[str, Any]:
    """Describe a configuration as JSON returns it: lists for tuples."""
    size = next((name for name, make in SIZES.items() if make(config.scale) == config), None)
    return json.loads(json.dumps({"model_type": "lamnet", "size": size, **asdict(config)}))


def _downloaded(repository: str, revision: str | None, token: str | None) -> Path:
    hub = require("huggingface_hub", "hub", f"{repository}: the Hub")
    try:
        wanted = [_WEIGHTS, _CONFIG]
        return Path(hub.snapshot_download(repository, revision=revision, token=token, allow_patterns=wanted))
    except (OSError, ValueError) as error:  # what huggingface_hub raises for the Hub's answers, names, no network
        found = " ".join(str(error).split())
        raise BadWeightsError(f"{repository}: expected a folder or a repository on the Hub, found {found}") from error
