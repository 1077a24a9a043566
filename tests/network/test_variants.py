"""Weights that ship for clean pictures and for photographs: their names, the choice among them, and their mixture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lamnet
from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core import shipped
from lamnet.core.config import LAMNetConfig
from lamnet.core.shipped import Shipped
from lamnet.core.weights import WeightsFile
from lamnet.network import catalogue, reading, weights
from lamnet.network.mixing import mix
from lamnet.network.model import LAMNet


def _network(scale: int, channels: int = 16) -> LAMNet:
    return LAMNet(LAMNetConfig(scale, channels, 1, 1))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped weights: tiny x2, x3, x4 and base x2 clean; tiny x2 and x4 photo."""
    monkeypatch.setattr("lamnet.core.shipped._shipped_folder", lambda: tmp_path)
    for name in ("tiny_x2", "tiny_x3", "tiny_x4", "tiny_x2_photo", "tiny_x4_photo"):
        weights.save(_network(int(name.split("_")[1][1:])), tmp_path / f"{name}.safetensors")
    weights.save(_network(2, 24), tmp_path / "base_x2.safetensors")
    (tmp_path / "tiny_x2_photo.md").touch()
    return tmp_path


def _same(one: LAMNet | WeightsFile, path: Path) -> bool:
    there = reading.read(path).state
    here = one if isinstance(one, WeightsFile) else reading.contents_of(one)
    return all(np.array_equal(array, there[name]) for name, array in here.state.items())


def test_files_have_names(folder: Path) -> None:
    assert [(one.model, one.scale, one.path.name) for one in shipped.shipped()] == [
        ("base", 2, "base_x2.safetensors"),
        ("tiny", 2, "tiny_x2.safetensors"),
        ("tiny:photo", 2, "tiny_x2_photo.safetensors"),
        ("tiny", 3, "tiny_x3.safetensors"),
        ("tiny", 4, "tiny_x4.safetensors"),
        ("tiny:photo", 4, "tiny_x4_photo.safetensors"),
    ]
    assert shipped.called(folder / "tiny_x2_photo.safetensors") == "tiny_x2_photo, which ships"


def test_two_ways_to_load_photo_weights(folder: Path) -> None:
    assert _same(lamnet.load("tiny:photo", 2), folder / "tiny_x2_photo.safetensors")
    assert _same(lamnet.load("tiny", 2, weights="photo"), folder / "tiny_x2_photo.safetensors")
    assert _same(lamnet.load("tiny", 2, weights="clean"), folder / "tiny_x2.safetensors")
    assert _same(lamnet.load("tiny", 2), folder / "tiny_x2.safetensors")
    with pytest.raises(
        BadWeightsError, match=r"base:photo: expected a scale that ships, got 2; there are .*tiny:photo \(x2, x4\)"
    ):
        lamnet.load("base:photo", 2)
    with pytest.raises(
        BadWeightsError, match=r"tinny: no such model; expected a file or one of .*; the nearest is tiny$"
    ):
        lamnet.load("tinny", 2)
    with pytest.raises(BadArgumentError, match="weights: expected photo with the model tiny:photo, got clean"):
        lamnet.load("tiny:photo", 2, weights="clean")
    with pytest.raises(BadArgumentError, match="weights: expected it with a size that ships, got photo of the file"):
        lamnet.load(folder / "tiny_x2.safetensors", weights="photo")


def test_both_of_a_scale_unless_one_is_asked_for(folder: Path) -> None:
    (both,) = catalogue.select("tiny", 2).networks
    assert _same(both.network, folder / "tiny_x2.safetensors")
    assert both.photo is not None
    assert _same(both.photo, folder / "tiny_x2_photo.safetensors")
    (alone,) = catalogue.select("tiny", 3).networks
    assert (alone.scale, alone.photo) == (3, None)
    for given in ({"model": "tiny:photo"}, {"model": "tiny", "variant": "photo"}):
        (photo,) = catalogue.select(**given, factor=2).networks
        assert _same(photo.network, folder / "tiny_x2_photo.safetensors")
        assert photo.photo is None
    (clean,) = catalogue.select("tiny", 2, variant="clean").networks
    assert clean.photo is None


def test_the_best_of_each_where_no_size_is_named(folder: Path) -> None:
    (both,) = catalogue.select(None, 2).networks
    assert _same(both.network, folder / "base_x2.safetensors")
    assert both.photo is not None
    assert _same(both.photo, folder / "tiny_x2_photo.safetensors")


def test_photo_weights_of_a_larger_scale_where_there_are_none(folder: Path) -> None:
    found = catalogue.select("tiny", 3, variant="photo")
    assert ([one.scale for one in found.networks], found.factor) == ([4], 3)
    with pytest.raises(BadWeightsError, match="base:photo: expected a scale that ships, got 2"):
        catalogue.select("base", 2, variant="photo")
    (folder / "tiny_x2_photo.safetensors").unlink()
    (folder / "tiny_x4_photo.safetensors").unlink()
    with pytest.raises(
        BadWeightsError, match="scale: expected one that photo weights ship for, got 4; see lamnet models"
    ):
        catalogue.select(None, 4, variant="photo")


def test_restoring_is_for_photo_weights(folder: Path) -> None:
    (restoring,) = catalogue.select("tiny", 1).networks
    assert _same(restoring.network, folder / "tiny_x2_photo.safetensors")
    with pytest.raises(BadArgumentError, match="scale: expected more than 1 with clean weights"):
        catalogue.select("tiny", 1, variant="clean")
    with pytest.raises(BadArgumentError, match="scale: expected more than 1 with clean weights"):
        catalogue.select(str(folder / "tiny_x2.safetensors"), 1)
    weights.save(_network(1), folder / "tiny_x1_photo.safetensors")
    (restoring,) = catalogue.select("tiny", 1).networks
    assert restoring.scale == 1
    own = folder / "own.safetensors"
    weights.save(_network(2), own, {"degradation": {"clean": 0.25}})
    assert catalogue.select(str(own), 1).factor == 1


def test_strength_is_a_way_between_the_two(folder: Path) -> None:
    (mixed,) = catalogue.select("tiny", 2, strength=0.25).networks
    assert mixed.photo is None
    clean, photo = lamnet.load("tiny", 2).state_dict(), lamnet.load("tiny:photo", 2).state_dict()
    for name, tensor in reading.network_of(mixed.network).state_dict().items():
        torch.testing.assert_close(tensor, 0.75 * clean[name] + 0.25 * photo[name])
    assert _same(catalogue.select("tiny", 2, strength=0).networks[0].network, folder / "tiny_x2.safetensors")
    assert _same(catalogue.select(None, 2, strength=1).networks[0].network, folder / "tiny_x2_photo.safetensors")


def test_mistakes_about_strength(folder: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"strength: expected a number from 0 \(clean\) to 1 \(photo\), got 1.5"):
        catalogue.select("tiny", 2, strength=1.5)
    with pytest.raises(BadArgumentError, match=r"strength: expected it without photo weights, got 0.5"):
        catalogue.select("tiny", 2, strength=0.5, variant="photo")
    with pytest.raises(BadArgumentError, match="strength: expected it with a size that ships, got the file"):
        catalogue.select(str(folder / "tiny_x2.safetensors"), strength=0.5)
    with pytest.raises(BadArgumentError, match="weights: expected it with a size that ships, got photo of the file"):
        catalogue.select(str(folder / "tiny_x2.safetensors"), variant="photo")
    with pytest.raises(BadWeightsError, match="base:photo: expected a scale that ships, got 2"):
        catalogue.select("base", 2, strength=0.5)
    with pytest.raises(
        BadWeightsError, match="strength: expected two networks of one configuration, got channels 16, 24"
    ):
        mix(_network(2), _network(2, 24), 0.5)


def test_changed_networks_are_not_mixed() -> None:
    """A mix is made from weights, so a part or hook that these do not have would be lost."""
    changed, hooked = _network(2), _network(2)
    changed.head = torch.nn.Sequential(changed.head)  # type: ignore[assignment]
    hooked.fuse.register_forward_hook(lambda *_: None)
    with pytest.raises(BadWeightsError, match=r"b: expected a network as its configuration makes it, found head"):
        mix(_network(2), changed, 0.5)
    with pytest.raises(BadWeightsError, match=r"a: expected .*, found fuse with a hook"):
        mix(hooked, _network(2), 0.5)


def test_models_say_their_variant(folder: Path) -> None:
    found = [(one.size, one.scale, one.variant) for one in catalogue.models()]
    assert found[:2] == [("tiny", 2, "clean"), ("tiny", 2, "photo")]
    assert Shipped("tiny", 2, "photo") in shipped.shipped()
