"""Files that other programs read, and that later versions must: evaluations, benchmarks, sets, trainings, weights."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from frozen.held import FOLDER, REWRITE, hold, shape
from frozen.surface import run
from lamnet.training.journal import Journal
from lamnet.training.prepared import Photo

pytestmark = pytest.mark.thorough

METRICS = "psnr_y,ssim_y,psnr_rgb,ssim_rgb"
FIGURES = FOLDER / "evaluate.json"


def photographs(folder: Path, grey: bool = False) -> Path:
    """Two PNGs of smooth waves, the second one grey if asked for."""
    folder.mkdir(parents=True)
    for index, (height, width) in enumerate([(52, 64), (60, 50)]):
        rows, columns = np.mgrid[0:height, 0:width]
        waves = np.stack([np.sin(rows / 3 + index), np.cos(columns / 4), np.sin((rows + columns) / 5)], -1)
        pixels = (127 + 90 * waves * np.where(rows // 8 + columns // 9 & 1, 1, 0.4)[..., None]).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if grey and index else pixels)
        image.save(folder / f"p{index}.png")
    return folder


def lamnet(*arguments: object) -> str:
    ran = run(*arguments)
    assert ran.code == 0, ran.err
    return ran.out


def test_evaluate(tmp_path: Path) -> None:
    """Figures to 1e-3 dB, and 1e-4 for SSIM; keys and their order as they are; one model an object, several a list."""
    data = photographs(tmp_path / "data" / "Waves", grey=True).parent
    common = ("evaluate", "--data", data, "--scale", 2, "--device", "cpu", "--metrics", METRICS)
    files = [tmp_path / name for name in ("all.json", "one.json", "all.csv", "all.md")]
    lamnet(*common, "tiny", "bicubic", "--json", files[0], "--csv", files[2], "--markdown", files[3])
    lamnet(*common, "bicubic", "--json", files[1])
    found = json.loads(files[0].read_text())
    assert json.loads(files[1].read_text()) == found[1]
    if REWRITE:
        FIGURES.write_text(files[0].read_text())
    known = json.loads(FIGURES.read_text())
    assert shape(found) == shape(known)
    for (place, now), (_, then) in zip(_leaves(found), _leaves(known), strict=True):
        assert now == pytest.approx(then, abs=1e-3 if "psnr" in place else 1e-4), place
    header, *rows = files[2].read_text().splitlines()
    cells = [row.split(",")[:4] for row in rows]
    table = [line for line in files[3].read_text().splitlines() if "|" in line]
    text = "\n".join([header, *map(",".join, cells), "", "".join(table[0].split()), f"{len(table)} rows", ""])
    hold("evaluate.txt", text)


def _leaves(content: Any, place: str = "") -> list[tuple[str, Any]]:
    if isinstance(content, dict):
        return [leaf for key, value in content.items() for leaf in _leaves(value, f"{place}.{key}")]
    if isinstance(content, list):
        return [leaf for value in content for leaf in _leaves(value, f"{place}[]")]
    return [(place, content)]


def test_bench(tmp_path: Path) -> None:
    """Keys and types, and which rows there are; no times. A machine without the kernels still says its rows."""
    before = torch.get_num_threads()
    options = (
        f"--scale 2 --output 24 16 --rounds 1 --threads 1 --no-memory --device cpu --json {tmp_path / 'bench.json'}"
    )
    lamnet("bench", "tiny,fsa-height", *options.split())
    torch.set_num_threads(before)
    found = json.loads((tmp_path / "bench.json").read_text())
    rows, machine = found.pop("rows"), found.pop("machine")
    keys = [
        f"machine.{name}: {type(machine[name]).__name__}" for name in machine if not name.startswith(("cuda", "mps"))
    ]
    names = [" ".join(row["candidate"].values()) for row in rows]
    ran = {row["candidate"]["model"]: row for row in rows if row["problem"] is None}
    text = "\n".join([shape(found), *keys, "", *names, "", *(f"{name}:\n{shape(row)}" for name, row in ran.items())])
    hold("bench.txt", text)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, the set made of them, and a run of two steps."""
    folder = tmp_path_factory.mktemp("training")
    photographs(folder / "photographs")
    Image.new("RGB", (20, 20)).save(folder / "photographs" / "small.png")
    lamnet("prepare", folder / "photographs", folder / "set", "--scales", 2)
    options = ("--steps", 2, "--batch", 2, "--patch", 8, "--valid", photographs(folder / "valid"))
    lamnet("train", "tiny_x2_short", "--data", folder / "set", "--out", folder / "run", *options)
    return folder


def test_prepared_set(training: Path, tmp_path: Path) -> None:
    """The index, its files, and the journal of a set under way."""
    folder = training / "set"
    sizes = [f"{path.name} {path.stat().st_size}" for path in sorted(folder.iterdir()) if path.suffix == ".u8"]
    names = [path.name for path in sorted(folder.iterdir())]
    photo = Photo("a.png", bytes=80, modified=(1,), reason="expected sides of at least 48 pixels, found 20x20")
    with Journal(tmp_path, (2, 3, 4), [photo]) as journal:
        journal.add(photo, {})
    first, *others = map(json.loads, (tmp_path / "journal.jsonl").read_text().splitlines())
    parts = {"index.json": _read(folder / "index.json"), "journal.jsonl": {"first line": first, "others": others}}
    hold("prepared.txt", "\n".join([", ".join(names), *sizes, shape(parts)]))


def test_a_set_begun_before_is_finished(training: Path, tmp_path: Path) -> None:
    """From a journal as it was written. Its photograph has no checksum there, so it is made anew and not believed."""
    whole, begun, sources = training / "set", tmp_path / "set", sorted((training / "photographs").iterdir())
    begun.mkdir()
    listed = [[path.name, path.stat().st_size] for path in sources]
    done = {"name": "p0.png", "height": 52, "width": 64, "reason": None, "licence": "", "bytes": listed[0][1]}
    lines = [json.dumps(line) + "\n" for line in ({"scales": [2], "sources": listed}, done)]
    (begun / "journal.jsonl").write_text("".join(lines))
    (begun / "hr.u8").write_bytes(bytes(52 * 64 * 3))
    (begun / "lr_x2.u8").write_bytes((whole / "lr_x2.u8").read_bytes()[: 26 * 32 * 3])
    lamnet("prepare", training / "photographs", begun, "--scales", 2)
    assert (begun / "hr.u8").read_bytes() == (whole / "hr.u8").read_bytes()
    assert (begun / "lr_x2.u8").read_bytes() == (whole / "lr_x2.u8").read_bytes()
    assert _read(begun / "index.json") == _read(whole / "index.json")


def test_run(training: Path) -> None:
    """The run's files; the numbers of its recipe too."""
    folder = training / "run"
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in metrics] == [2]
    shapes = shape({"metrics.jsonl": metrics, "evaluation.json": _read(folder / "evaluation.json")})
    names = ", ".join(path.name for path in sorted(folder.iterdir()))
    hold("run.txt", "\n".join([names, "", (folder / "recipe.json").read_text(), "", shapes]))


def test_weights(training: Path) -> None:
    """The header of the file: tensors by name, dtype and shape, and what is recorded beside them."""
    header = _safetensors_header(training / "run" / "weights.safetensors")
    recorded = {
        name: json.loads(text) if text.startswith("{") else text for name, text in header.pop("__metadata__").items()
    }
    tensors = [f"{name}: {one['dtype']} {one['shape']}" for name, one in sorted(header.items())]
    hold("weights.txt", "\n".join([shape(dict(sorted(recorded.items()))), *tensors, ""]))


def test_checkpoint(training: Path) -> None:
    """Names of all that a checkpoint holds; it opens without running code."""
    content = torch.load(training / "run" / "checkpoint.pt", map_location="cpu", weights_only=True)
    tensors = {key: value for key, value in content.items() if isinstance(value, dict) and len(value) > 100}
    names = {f"{key}: {len(value)} tensors": sorted(value) for key, value in tensors.items()}
    same = len({tuple(value) for value in names.values()}) == 1
    others = {key: value for key, value in content.items() if key not in tensors}
    alike = dict.fromkeys(re.sub(r"(state\.)\d+(.*:).*", r"\1N\2 tensor", line) for line in shape(others).splitlines())
    lines = [*alike, "", *names, f"of the same names: {same}", "", *next(iter(names.values()))]
    hold("checkpoint.txt", "\n".join([*lines, ""]))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _safetensors_header(path: Path) -> dict[str, Any]:
    """By the format's definition: its length in 8 bytes, then JSON."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])
