"""Weights files that are damaged or made to do harm: one short message, and no more memory than their size."""

from __future__ import annotations

import copy
import json
import pickle
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lamnet.base.errors import BadWeightsError, LamnetError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network import weights
from lamnet.network.model import LAMNet
from lamnet.network.published import publish

SMALL = LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2, window=Window.focal(5, (3,), (1,)))


@pytest.mark.thorough
def test_files_that_unpack_to_more_are_refused_before_they_do(tmp_path: Path) -> None:
    torch.save(LAMNet(SMALL).state_dict(), tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/999", bytes(50_000_000))
    (tmp_path / "b.pth").write_bytes(b"\x80\x02c__builtin__\nbytearray\nJ" + struct.pack("<i", 2**31 - 1) + b"\x85R.")
    (tmp_path / "c.pth").write_bytes(b"\x80\x02" + b"]" * 3_000_000 + b".")
    torch.save({"head.weight": torch.zeros(1).expand(2**20, 2**10)}, tmp_path / "d.pth")
    for name, says in (
        ("a", "more than its size"),
        ("b", "bytearray"),
        ("c", "other things"),
        ("d", "within its size"),
    ):
        with pytest.raises(BadWeightsError, match=says):
            weights.load(tmp_path / f"{name}.pth")


VALUES: list[Any] = [0, -1, 1, 1.5, 1e9, 10**9, 10**30, 1e308, None, True, "", "4", [], {}, [1], {"a": 1}, [[]]]


def _refused(path: Path) -> str:
    """Load a file, and return the message of its refusal, or "" where it loads."""
    try:
        weights.load(path)
    except LamnetError as error:
        return str(error)
    return ""


def _mutated(text: str, chance: random.Random) -> str:
    """Another configuration, as a person, a program or a bad disk makes one."""
    if chance.random() < 0.3:
        at, kind = chance.randrange(len(text)), chance.randrange(3)
        return text[:at] + (chr(chance.randrange(256)) if kind else "") + text[at + (kind < 2) :]
    if chance.random() < 0.05:
        return "[" * 100_000
    config = json.loads(text)
    for _ in range(chance.randrange(1, 4)):
        inner = chance.choice([config, config, config["window"]]) if isinstance(config.get("window"), dict) else config
        inner[chance.choice([*inner, "new"])] = copy.deepcopy(chance.choice(VALUES))
        if isinstance(starts := inner.get("starts"), list) and chance.random() < 0.5:
            starts.insert(0, copy.deepcopy(chance.choice(VALUES)))
    return json.dumps(config)


def _fuzz_headers(folder: Path, times: int) -> None:
    path, chance = folder / "a.safetensors", random.Random(0)
    weights.save(LAMNet(SMALL), path)
    data = path.read_bytes()
    state, config = (
        load_file(path),
        json.loads(json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]["config"]),
    )
    for _ in range(times):
        header = {"format": "lamnet", "config": _mutated(json.dumps(config), chance), "record": "{}"}
        if chance.random() < 0.1:
            header["record"] = _mutated('{"window": {"starts": []}}', chance)
        save_file(state, path, header)
        if chance.random() < 0.1:
            data = bytearray(path.read_bytes())
            data[chance.randrange(min(len(data), 600))] = chance.randrange(256)
            path.write_bytes(data)
        message = _refused(path)
        assert "\n" not in message
        assert len(message) < 1000


@pytest.mark.thorough
def test_hostile_headers(tmp_path: Path) -> None:
    _fuzz_headers(tmp_path, 500)


@pytest.mark.slow
def test_ten_thousand_hostile_headers(tmp_path: Path) -> None:
    _fuzz_headers(tmp_path, 10_000)


@pytest.mark.thorough
def test_damaged_checkpoints(tmp_path: Path) -> None:
    path, chance = tmp_path / "a.pth", random.Random(0)
    torch.save(publish(LAMNet(SMALL)), path)
    zipped = path.read_bytes()
    torch.save(publish(LAMNet(SMALL)), path, _use_new_zipfile_serialization=False)
    for whole in (zipped, path.read_bytes(), pickle.dumps({"a": 1}, 2)):
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 5)):
                data[chance.randrange(min(len(data), 4000))] = chance.randrange(256)
            path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
            assert "\n" not in _refused(path)
