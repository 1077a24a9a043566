"""Video files: every frame through the network, in parts that outlive an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch

from lamnet.errors import BadImageError, MissingExtraError
from lamnet.upscale import Upscaler

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from lamnet.clip import Clip, Colours
    from lamnet.mux import Encoding

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
PART = 48  # frames: what an interruption can cost, and the most between two key frames
PLAN = "plan.json"


def steps(upscaler: Upscaler, source: Path, target: Path, part: int = PART) -> Iterator[float]:
    """Upscale a video file, stopping after every frame to say how much of the work is done, 0 to 1.

    Times, sound, subtitles, chapters, rotation, colours and other tags are kept; only the pictures are encoded anew, in
    the codec and pixel format they had where that can be written. One frame is held at a time. Finished parts stay in
    the folder `target`.partial until the whole is joined; the same call goes on behind them.

    Raises:
        BadImageError: the source is no whole video, or the target cannot hold what is in it.
        MissingExtraError: PyAV is not installed.
    """
    try:
        from lamnet import clip as clips
        from lamnet import mux
    except ImportError as error:
        raise MissingExtraError(
            f'{source}: video needs PyAV, which is not here ({error}); pip install "lamnet-sr[video]"'
        ) from error
    if target.suffix.lower() not in SUFFIXES:
        raise BadImageError(f"{target}: expected a name that ends in one of {', '.join(sorted(SUFFIXES))}")
    clip = clips.probe(source)
    encoding = mux.encoding_for(clip, target, upscaler.scale)
    mux.check(clip, encoding, target)
    folder = target.with_name(target.name + ".partial")
    with clips.named(target, "cannot be written"):
        _claim(folder, _plan(clip, encoding, upscaler, part))
        parts: list[Path] = []
        done = 0
        frames = clips.frames_of(clip)
        colours = clips.Colours(clip, encoding.pixels, encoding.width, encoding.height)
        for first in frames:
            parts.append(folder / f"{len(parts):06d}.mkv")
            some = islice(chain([first], frames), part)
            if mux.times_of(parts[-1]).exists():
                done += sum(1 for _ in some)
                yield min(1.0, done / clip.packets)
            else:
                big = (_bigger(frame, upscaler, colours) for frame in some)
                for _ in mux.encode(clip, encoding, big, parts[-1]):
                    done += 1
                    yield min(1.0, done / clip.packets)
        whole = folder / "whole"
        mux.join(clip, encoding, parts, target, whole)
        whole.replace(target)
        _drop(folder)


def _bigger(frame: VideoFrame, upscaler: Upscaler, colours: Colours) -> VideoFrame:
    big = colours.frame(upscaler(colours.array(frame)))
    big.pts, big.duration, big.time_base = frame.pts, frame.duration, frame.time_base
    return big


def _plan(clip: Clip, encoding: Encoding, upscaler: Upscaler, part: int) -> str:
    """All that the parts follow from: parts of another plan are of no use."""
    import av

    status = clip.path.stat()
    network = safetensors.torch.save(upscaler.network.state_dict())
    return json.dumps(
        {
            "versions": [version("lamnet-sr"), av.__version__],
            "source": [status.st_size, status.st_mtime_ns],
            "options": {
                k: v for k, v in vars(upscaler).items() if v is None or isinstance(v, bool | int | float | str)
            },
            "network": hashlib.sha256(network).hexdigest(),
            "encoding": asdict(encoding),
            "part": part,
        },
        indent=1,
    )


def _claim(folder: Path, plan: str) -> None:
    record = folder / PLAN
    if folder.exists() and not record.exists() and any(folder.iterdir()):
        raise BadImageError(f"{folder}: expected a folder for parts of the video, found other files in it")
    if record.exists() and record.read_text() == plan:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for path in _parts_in(folder):
        path.unlink()
    record.write_text(plan)


def _parts_in(folder: Path) -> list[Path]:
    return [*folder.glob("[0-9]*.json"), *folder.glob("[0-9]*.mkv")]


def _drop(folder: Path) -> None:
    for path in (*_parts_in(folder), folder / PLAN):
        path.unlink()
    with suppress(OSError):  # somebody else put a file there
        folder.rmdir()
