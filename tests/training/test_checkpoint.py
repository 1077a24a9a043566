"""Checkpoints: no code in them, the one before stays."""

from __future__ import annotations

import copy
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.training import checkpoint
from lamnet.training.learner import Learner
from support.mutations import COUNTS, mutated
from support.sets import recipe


def test_checkpoints_hold_no_code_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(BadWeightsError, match=r"checkpoint\.pt: cannot be read: No such file"):
        checkpoint.load(path, recipe())
    path.write_bytes(b"no checkpoint")
    with pytest.raises(BadWeightsError, match=r"checkpoint\.pt: expected a PyTorch checkpoint, found a damaged file"):
        checkpoint.load(path, recipe())
    torch.save({"recipe": {}, "code": Learner}, path)
    with pytest.raises(BadWeightsError, match="something other than plain tensors, refused"):
        checkpoint.load(path, recipe())
    torch.save({"recipe": "tiny_x4", "step": 1}, path)
    with pytest.raises(BadWeightsError, match="expected a checkpoint of a training, found something else"):
        checkpoint.load(path, recipe())


def test_a_checkpoint_that_unpacks_to_more_is_refused_before_it_does(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, recipe(), {"step": 1, "tensor": torch.zeros(3)})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/999", bytes(50_000_000))
    with pytest.raises(BadWeightsError, match="unpacks to more than its size"):
        checkpoint.load(path, recipe())


def test_a_checkpoint_with_other_numbers_than_were_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, recipe(), {"step": 1, "tensor": torch.full((5,), 1.5)})
    written = path.read_bytes()
    numbers = torch.full((5,), 1.5).numpy().tobytes()
    assert written.count(numbers) == 1
    path.write_bytes(written.replace(numbers, torch.full((5,), 2.5).numpy().tobytes()))
    with pytest.raises(
        BadWeightsError, match=r"checkpoint\.pt: expected a whole checkpoint, found \S*/data/0 in it damaged$"
    ):
        checkpoint.load(path, recipe())


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, recipe(), {"step": 1, "tensor": torch.zeros(3)})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(
            BadDataError, match=r"step 2 cannot be written \(.*No space left.*\); the one before is kept"
        ):
            checkpoint.save(path, recipe(), {"step": 2, "tensor": torch.zeros(3)})
    assert checkpoint.load(path, recipe())["step"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def _damaged(state: Any, chance: random.Random) -> Any:
    """A state with one of its parts replaced or left out, or another in its place."""
    places = [(state, key) for key in state if key != "recipe"]  # grows while it is gone through
    for place, key in places:
        part = place[key]
        keys = part.keys() if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        places.extend((part, one) for one in keys)
    place, key = chance.choice(places)
    kept = place[key]
    others = [None, "x", 1.5, -1, 10**400, [], {}, [1], {"a": 1}, torch.zeros(2, 3), torch.zeros((), dtype=torch.int64)]
    if isinstance(kept, torch.Tensor):
        others += [kept.double(), kept.reshape(-1)[:1], kept[None]]
    if isinstance(place, dict) and chance.random() < 0.2:
        del place[key]
    else:
        place[key] = chance.choice(others)
    return state


def _state(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    parts = {"network": network.state_dict(), "average": network.state_dict(), "optimiser": optimiser.state_dict()}
    return copy.deepcopy({"step": 1, "elapsed": 1.5, "loss": torch.zeros(()), **parts})


@pytest.mark.parametrize("count", COUNTS)
def test_states_with_another_part_are_refused_or_can_be_gone_on_from(tmp_path: Path, count: int) -> None:
    network = nn.Linear(2, 3)
    optimiser = torch.optim.AdamW(network.parameters())
    fresh = _state(network, optimiser)
    network(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    chance, refused = random.Random(0), 0
    for _ in range(count):
        damaged = _damaged(_state(network, optimiser), chance)
        try:
            found = checkpoint.fitted(tmp_path, damaged, fresh)
        except BadWeightsError:
            refused += 1
            continue
        network.load_state_dict(found["network"])
        optimiser.load_state_dict(found["optimiser"])
        optimiser.step()
        assert found["step"] + found["elapsed"] >= 0
    assert count // 4 < refused < count


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_checkpoints_are_refused_or_read(tmp_path: Path, count: int) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, recipe(), {"step": 1, "tensor": torch.zeros(3)})
    refused = 0
    for content in mutated(path.read_bytes(), count):
        path.write_bytes(content)
        try:
            checkpoint.load(path, recipe())
        except BadWeightsError as error:
            refused += "weights_only" not in str(error)
    assert refused > count // 3
