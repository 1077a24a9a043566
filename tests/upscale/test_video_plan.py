"""The plan that a video's parts were made by, and what is done where its record or a part is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BadArgumentError
from lamnet.upscale import video
from lamnet.upscale.engine import Engine
from lamnet.upscale.parts import Parts
from lamnet.upscale.plan import Plan
from lamnet.upscale.planner import Planner

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from lamnet.media.video import mux  # noqa: E402
from support.clips import HEIGHT, WIDTH, steps, upscale  # noqa: E402
from support.mutations import COUNTS, mutated  # noqa: E402

Maker = Callable[..., Path]


def test_the_encoder_has_its_share_of_the_memory(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = make("clip.mp4"), tmp_path / "big.mp4"
    clip = video.open_clip(source)
    plan = video.plan_of(upscaler.planner, clip, video.encoding_for(upscaler.planner, clip, target))
    assert plan.memory == upscaler.plan(clip.height, clip.width).memory + video.BYTES_PER_PIXEL * 4 * WIDTH * HEIGHT
    with pytest.raises(BadArgumentError, match="memory: expected at least"):
        Upscaler(upscaler.engine.network, "cpu", memory=500_500_000).file(source, target)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Six frames so wide that memory decides between tiles and the whole; Matroska would write a random number."""
    with av.open(str(tmp_path / "wide.mov"), "w") as container:
        stream = container.add_stream("prores_ks", 25, width=200, height=40, pix_fmt="yuv444p10le")
        waves = np.sin(np.arange(40)[:, None] / 3) * np.cos(np.arange(200)[None] / 5)
        for number in range(6):
            pixels = np.stack([waves, waves[::-1], waves[:, ::-1]], -1) * 9000 + 20_000 + 500 * number
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(pixels.astype(np.uint16), "rgb48le").reformat(format="yuv444p10le")
                )
            )
        container.mux(stream.encode(None))
    return tmp_path / "wide.mov"


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The free memory that the next plans find; none is planned when the list is empty."""
    free: list[int] = []
    monkeypatch.setattr(Engine, "free_memory", lambda _: free.pop())
    return free


def strong_network() -> LAMNet:
    """Weights so large that the exchange means decide, and with them how a frame is cut."""
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=2, heads=2)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.22)
    return network


def enough_for(planner: Planner, source: Path, tile: int | None) -> int:
    """Memory that just suffices for these tiles."""
    clip = video.open_clip(source)
    encoding = video.encoding_for(planner, clip, source.with_name("any.mov"))
    return video.plan_of(replace(planner, tile=tile), clip, encoding).memory


@pytest.mark.thorough
def test_the_plan_is_the_same_for_every_frame(
    upscaler: Upscaler, wide: Path, free: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[bool] = []
    monkeypatch.setattr(Engine, "means_matter", lambda *_: probed.append(len(probed) % 2 == 0) or probed[-1])
    seen: set[Plan] = set()
    in_memory = video.in_memory

    def noted(engine: Engine, plan: Plan, *others: Any) -> np.ndarray:
        seen.add(plan)
        return in_memory(engine, plan, *others)

    monkeypatch.setattr(video, "in_memory", noted)
    tight = enough_for(upscaler.planner, wide, 64)
    free[:] = [tight]
    upscale(upscaler.planner, wide, tmp_path / "big.mov", part=2)
    assert probed == [True]
    assert [(plan.tile, plan.exact) for plan in seen] == [(64, True)]


@pytest.mark.thorough
@pytest.mark.parametrize(("before", "after"), [(64, None), (None, 64), (64, 128)])
def test_a_run_goes_on_by_the_plan_that_it_began_with(
    wide: Path,
    free: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int | None,
    after: int | None,
) -> None:
    monkeypatch.setattr(Engine, "means_matter", lambda *_: False)  # so that tiles differ, and show which were used
    planner = Upscaler(strong_network(), "cpu").planner
    memory = {tile: enough_for(planner, wide, tile) for tile in (before, after)}
    results: dict[int | None, bytes] = {}
    for tile in (before, after):
        free[:] = [memory[tile]]
        results[tile] = upscale(planner, wide, tmp_path / f"{tile}.mov", part=2).read_bytes()
    assert results[before] != results[after]
    target = tmp_path / "cut.mov"
    free[:] = [memory[before]]
    running = steps(planner, wide, target, part=2)
    for _ in range(3):
        next(running)
    running.close()
    free[:] = []  # nobody asks
    assert upscale(planner, wide, target, part=2).read_bytes() == results[before]


def without_plan(record: dict[str, Any]) -> str:
    """Write a record as earlier versions did."""
    return json.dumps({key: value for key, value in record.items() if key != "plan"}, indent=1)


def with_plan(**changed: Any) -> Callable[[dict[str, Any]], str]:
    return lambda record: json.dumps(record | {"plan": record["plan"] | changed})


@pytest.mark.thorough
@pytest.mark.parametrize(
    "spoil",
    [
        without_plan,
        with_plan(tile="64"),
        with_plan(other=1),
        with_plan(tile=0),
        with_plan(overlap=-1),
        with_plan(height=1),
        lambda record: "[" * 100_000,
        lambda record: json.dumps(record | {"plan": [64]}),
        lambda record: json.dumps([record]),
        lambda record: json.dumps(record)[:100],
        lambda record: "",
    ],
)
def test_a_record_that_is_not_ours_starts_the_clip_anew(
    upscaler: Upscaler, wide: Path, tmp_path: Path, spoil: Callable[[dict[str, Any]], str]
) -> None:
    target, folder = tmp_path / "cut.mov", tmp_path / ".cut.mov.partial"
    whole = upscale(upscaler.planner, wide, part=2).read_bytes()
    running = steps(upscaler.planner, wide, target, part=2)
    for _ in range(3):
        next(running)
    running.close()
    record = folder / "plan.json"
    record.write_text(spoil(json.loads(record.read_text())))
    (folder / "000000.mkv").write_bytes(b"of another version")
    assert upscale(upscaler.planner, wide, target, part=2).read_bytes() == whole
    assert not folder.exists()


def test_what_a_killed_run_left_of_a_record_is_no_strange_file(upscaler: Upscaler, wide: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".cut.mov.partial"
    folder.mkdir()
    (folder / ".plan.json.partial").write_text("{")
    upscale(upscaler.planner, wide, tmp_path / "cut.mov")
    assert not folder.exists()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "spoil",
    [
        lambda part: part.write_bytes(part.read_bytes()[:200]),
        lambda part: part.write_bytes(b""),
        lambda part: part.with_suffix(".json").write_text("[[0, 512]"),
        lambda part: part.with_suffix(".json").write_text("[[0, 512]]"),
        lambda part: part.with_suffix(".json").write_text('[[0, 512], ["a", null]]'),
        lambda part: part.with_suffix(".json").write_text("[" * 100_000),
    ],
)
def test_a_damaged_part_is_made_anew(
    upscaler: Upscaler, wide: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    target, folder = tmp_path / "cut.mov", tmp_path / ".cut.mov.partial"
    whole = upscale(upscaler.planner, wide, part=2).read_bytes()
    running = steps(upscaler.planner, wide, target, part=2)
    for _ in range(5):
        next(running)
    running.close()
    assert mux.is_whole(folder / "000001.mkv")
    spoil(folder / "000000.mkv")
    assert upscale(upscaler.planner, wide, target, part=2).read_bytes() == whole
    assert not folder.exists()


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_records_of_parts_are_used_or_not(tmp_path: Path, count: int) -> None:
    parts = Parts(tmp_path / "parts", {"part": 2, "versions": ["1", "2"]})
    plan = Plan(48, 64, 32, 8, False, 10**6)
    parts.begin(plan)
    record, times, used = tmp_path / "parts" / "plan.json", parts.path(0).with_suffix(".json"), 0
    whole = record.read_bytes()
    for content, spoilt in zip(mutated(whole, count), mutated(b"[[0, 512], [512, 512]]", count), strict=True):
        record.write_bytes(content)
        times.write_bytes(spoilt)
        assert not mux.is_whole(parts.path(0))
        if (found := parts.recorded_plan()) is not None:
            used += 1
            assert min(found.height, found.width, found.tile or 1, found.overlap + 1, found.memory + 1) > 0
    assert 0 < used < count // 2
