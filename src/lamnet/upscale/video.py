"""Video files: every frame through the network, in parts that outlive an interruption."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from numpy.typing import NDArray

from lamnet.base import files
from lamnet.base.errors import BadImageError, MissingExtraError
from lamnet.media import opening
from lamnet.upscale.plan import Plan

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from lamnet.media.video.clip import Clip
    from lamnet.media.video.encoding import Encoding
    from lamnet.media.video.frames import Colours

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
PART = 48  # frames: what an interruption can cost, and the most between two key frames
PLAN = "plan.json"
HELD = 80  # bytes for each pixel of a result beside the network: frames on their way, and those that the encoder keeps


class Enlarger(Protocol):
    """What frames go through: an Upscaler."""

    scale: int

    def __call__(
        self, array: NDArray[Any], size: tuple[int, int] | None = None, white: float | None = None
    ) -> NDArray[Any]:
        """An array of this (width, height), whose white is this number."""
        ...

    def result_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) that is asked for."""
        ...

    def identity(self) -> dict[str, Any]:
        """What results follow from."""
        ...

    def plan(self, height: int, width: int) -> Plan:
        """How a frame goes through."""
        ...

    def beside(self, held: int) -> Self:
        """The same with so many bytes of its memory held by something else."""
        ...


def open_clip(path: Path, max_pixels: int = opening.MAX_PIXELS) -> Clip:
    """What has to be known of a video file to upscale it.

    Raises:
        BadImageError: it is no whole video, or its frames have more pixels than `max_pixels`.
        MissingExtraError: PyAV is not installed.
    """
    try:
        from lamnet.media.video import clip as clips
    except ImportError as error:
        raise MissingExtraError(
            f'{path}: video needs PyAV, which is not here ({error}); pip install "lamnet-sr[video]"'
        ) from error
    return clips.probe(path, max_pixels)


def steps(upscaler: Enlarger, clip: Clip, target: Path, part: int = PART) -> Generator[float]:
    """Upscale a video file, stopping after every frame to say how much of the work is done, 0 to 1.

    Times, sound, subtitles, chapters, rotation, colours and other tags are kept; only the pictures are encoded anew, in
    the codec and pixel format they had where that can be written. One frame is held at a time. Finished parts stay in
    a hidden folder beside `target` until the whole is joined; the same call goes on behind them.

    Raises:
        BadImageError: the source is cut off or damaged, or the target cannot hold what is in it.
    """
    from lamnet.media.video import clip as clips
    from lamnet.media.video import mux
    from lamnet.media.video.frames import Colours

    encoding = encoding_for(upscaler, clip, target)
    upscaler = beside_encoder(upscaler, encoding)
    upscaler.plan(clip.height, clip.width)  # refuses too little memory before there is a folder
    folder = files.partial_of(target)
    with clips.named(target, "cannot be written"):
        _claim(folder, _plan(clip, encoding, upscaler, part))
        parts: list[Path] = []
        done = 0
        frames = clips.frames_of(clip)
        colours = Colours(clip, encoding.pixels, encoding.width, encoding.height)
        for first in frames:
            parts.append(folder / f"{len(parts):06d}.mkv")
            some = islice(chain([first], frames), part)
            if mux.times_of(parts[-1]).exists():
                done += sum(1 for _ in some)
                yield min(1.0, done / clip.packets)
            else:
                big = (_bigger(frame, upscaler, colours, encoding) for frame in some)
                for _ in mux.encode(clip, encoding, big, parts[-1]):
                    done += 1
                    yield min(1.0, done / clip.packets)
        whole = folder / "whole"
        mux.join(clip, encoding, parts, target, whole)
        whole.replace(target)
        _drop(folder)


def encoding_for(upscaler: Enlarger, clip: Clip, target: Path) -> Encoding:
    """How the result is encoded, of the size that is asked for as players show it, in pixels of the source's shape.

    Raises BadImageError when the target's name is of no kind of ours, or cannot hold all that is in the clip.
    """
    from lamnet.media.video import encoding as encodings_
    from lamnet.media.video import mux

    if target.suffix.lower() not in SUFFIXES:
        raise BadImageError(f"{target}: expected a name that ends in one of {', '.join(sorted(SUFFIXES))}")
    shown = clip.shown_size
    factors = [new / old for new, old in zip(upscaler.result_size(*shown), shown, strict=True)]
    across, down = reversed(factors) if clip.turned else factors
    width = min(round(clip.width * across), clip.width * upscaler.scale)
    height = min(round(clip.height * down), clip.height * upscaler.scale)
    encoding = encodings_.encoding_for(clip, target, (width, height))
    mux.check(clip, encoding, target)
    return encoding


def beside_encoder(upscaler: Enlarger, encoding: Encoding) -> Enlarger:
    """The upscaler that leaves the encoder and the result's pixels their share of the memory."""
    return upscaler.beside(HELD * encoding.width * encoding.height)


def _bigger(frame: VideoFrame, upscaler: Enlarger, colours: Colours, encoding: Encoding) -> VideoFrame:
    big = colours.frame(upscaler(colours.array(frame), (encoding.width, encoding.height), white=65535))
    big.pts, big.duration, big.time_base = frame.pts, frame.duration, frame.time_base
    return big


def _plan(clip: Clip, encoding: Encoding, upscaler: Enlarger, part: int) -> str:
    """All that the parts follow from: parts of another plan are of no use."""
    import av

    status = clip.path.stat()
    return json.dumps(
        {
            "versions": [version("lamnet-sr"), av.__version__],
            "source": [status.st_size, status.st_mtime_ns],
            "upscaler": upscaler.identity(),
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
