"""Video files: every frame through an engine by one plan, in parts that outlive an interruption."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamnet.base import files
from lamnet.base.errors import BadImageError
from lamnet.base.extras import require
from lamnet.media import opening
from lamnet.media.video import containers
from lamnet.upscale.bands import in_memory
from lamnet.upscale.parts import Parts
from lamnet.upscale.plan import Plan
from lamnet.upscale.planner import Planner
from lamnet.upscale.raster import ArrayRaster, raster_of_array

if TYPE_CHECKING:
    from av.sidedata.sidedata import Type
    from av.video.frame import VideoFrame

    from lamnet.media.video.clip import Clip, Fields
    from lamnet.media.video.encoding import Encoding
    from lamnet.media.video.frames import Colours
    from lamnet.upscale.engines import AnyEngine

SUFFIXES = containers.SUFFIXES
NAMES_OF_CODE = frozenset({".ts", ".mts"})  # TypeScript's too
MATROSKA = ".mkv"  # holds what other containers do not
Notes = Generator[float, None, tuple[str, ...]]
PART = 48  # frames: what an interruption can cost, and the most between two key frames
BYTES_PER_PIXEL = 80  # of a result beside the network: frames on their way, and those that the encoder keeps


def open_clip(path: Path, max_pixels: int = opening.MAX_PIXELS, fields: Fields = "deinterlace") -> Clip:
    """Read what has to be known of a video file to upscale it.

    Args:
        fields: what becomes of interlaced frames, marked as such or by their combs; "progressive" takes all as they are.

    Raises:
        BadImageError: it is no whole video, its frames have more pixels than `max_pixels`, or they are interlaced and
            `fields` is "keep".
        MissingExtraError: PyAV is not installed.
    """
    require("av", extra="video", purpose=f"{path}: video")
    from lamnet.media.video.probe import probe

    return probe(path, max_pixels, fields)


def encoding_for(planner: Planner, clip: Clip, target: Path) -> Encoding:
    """Choose how the result is encoded: of the size that is asked for as players show it, in pixels of the source's shape.

    Raises BadImageError when the target's name is of no kind of ours, or cannot hold all that is in the clip.
    """
    from lamnet.media.video import encoding as encodings
    from lamnet.media.video import mux

    if target.suffix.lower() not in containers.MUXERS:
        raise BadImageError(f"{target}: expected a name that ends in one of {', '.join(sorted(containers.MUXERS))}")
    shown = clip.shown_size
    factors = [new / old for new, old in zip(planner.result_size(*shown), shown, strict=True)]
    across, down = reversed(factors) if clip.turned else factors
    width = min(round(clip.width * across), clip.width * planner.engine.scale)
    height = min(round(clip.height * down), clip.height * planner.engine.scale)
    encoding = encodings.encoding_for(clip, target, (width, height))
    mux.check(clip, encoding, target)
    return encoding


def suffix_for(planner: Planner, clip: Clip) -> str:
    """Choose the suffix of a result that has no name yet: the clip's own where that container holds it, else Matroska's."""
    own = clip.path.suffix
    try:
        encoding_for(planner, clip, clip.path.with_name("result" + own))
    except BadImageError:
        return MATROSKA
    return own


def plan_of(planner: Planner, clip: Clip, encoding: Encoding) -> Plan:
    """Plan a clip's frames by their size; the encoder and the result's pixels have their share of the memory.

    Raises BadArgumentError when memory is too little.
    """
    return planner.plan(clip.height, clip.width, _held(encoding))


def steps(planner: Planner, clip: Clip, target: Path, part: int = PART) -> Notes:
    """Upscale a video file, stopping after every frame to say how much of the work is done, 0 to 1.

    Returns what became of interlaced frames, and what the result does not hold of its source, a line each.

    Times, sound, subtitles, chapters, rotation, colours and other tags are kept; only the pictures are encoded anew, in
    the codec and pixel format they had where that can be written. One frame is held at a time, and all go through by
    the plan made on the first. Finished parts stay with that plan in a hidden folder beside `target` until the whole is
    joined; the same call goes on behind them.

    Raises:
        BadArgumentError: memory is too little.
        BadImageError: the source is cut off or damaged, or the target cannot hold what is in it.
    """
    from lamnet.media.video import clip as clips
    from lamnet.media.video import losses, mux
    from lamnet.media.video.fields import WholeFrames
    from lamnet.media.video.frames import Colours

    encoding = encoding_for(planner, clip, target)
    carried: set[Type] = set()
    whole = WholeFrames(clip, losses.noted(clips.frames_of(clip), carried))
    parts = Parts(files.partial_of(target), _origin(planner, clip, encoding, part))
    with clips.video_errors(target, "cannot be written"):
        colours = Colours(clip, encoding.pixels, encoding.width, encoding.height)
        frames = iter(whole)
        plan = parts.recorded_plan()
        if plan is None or (plan.height, plan.width) != (clip.height, clip.width):
            frames, first = _peeked(clip, frames)
            plan = planner.plan_for(_raster(colours, first), _held(encoding))
            parts.begin(plan)
        upscaler = _FrameUpscaler(planner.engine, plan, colours, (encoding.width, encoding.height), target.parent)
        finished: list[Path] = []
        done = 0
        for first in frames:
            finished.append(parts.path(len(finished)))
            some = islice(chain([first], frames), part)
            if mux.is_whole(finished[-1]):
                done += sum(1 for _ in some)
                yield min(1.0, done / clip.packets)
            else:
                for _ in mux.encode(clip, encoding, map(upscaler.upscale, some), finished[-1]):
                    done += 1
                    yield min(1.0, done / clip.packets)
        joined = parts.folder / "whole"
        mux.join(clip, encoding, finished, target, joined)
        lost = losses.losses(clip, carried, joined)
        joined.replace(target)
        parts.drop()
        return ((whole.note,) if whole.note else ()) + lost


@dataclass(frozen=True)
class _FrameUpscaler:
    """Upscales frames, all by one plan, to this (width, height)."""

    engine: AnyEngine
    plan: Plan
    colours: Colours
    size: tuple[int, int]
    scratch: Path

    def upscale(self, frame: VideoFrame) -> VideoFrame:
        """Upscale a frame, its time kept."""
        pixels = in_memory(self.engine, self.plan, _raster(self.colours, frame), self.size, self.scratch)
        large = self.colours.frame(pixels)
        large.pts, large.duration, large.time_base = frame.pts, frame.duration, frame.time_base
        return large


def _raster(colours: Colours, frame: VideoFrame) -> ArrayRaster:
    return raster_of_array(colours.array(frame), white=65535)


def _peeked(clip: Clip, frames: Iterator[VideoFrame]) -> tuple[Iterator[VideoFrame], VideoFrame]:
    """Look at the first frame: all of them, and that one."""
    first = next(frames, None)
    if first is None:
        raise BadImageError(f"{clip.path}: expected a video, found no frame")
    return chain([first], frames), first


def _held(encoding: Encoding) -> int:
    """Bytes that the encoder and the frames on their way hold."""
    return BYTES_PER_PIXEL * encoding.width * encoding.height


def _origin(planner: Planner, clip: Clip, encoding: Encoding, part: int) -> dict[str, Any]:
    """All that parts follow from besides the plan."""
    from importlib.metadata import version

    import av

    status = clip.path.stat()
    return {
        "versions": [version("lamnet-sr"), av.__version__],
        "source": [status.st_size, status.st_mtime_ns],
        "upscaler": planner.identity(),
        "encoding": asdict(encoding),
        "part": part,
    }
