"""What a finished video does not hold of its source, as the two files themselves show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lamnet.media.video.clip import Clip, side_data
from lamnet.media.video.mux import still_true

_NAMES = {
    Type.DOVI_RPU_BUFFER: "Dolby Vision",
    Type.DOVI_METADATA: "Dolby Vision",
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid",
    Type.MASTERING_DISPLAY_METADATA: "the mastering display (HDR10)",
    Type.CONTENT_LIGHT_LEVEL: "content light levels (HDR10)",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "the ambient viewing environment",
    Type.DISPLAYMATRIX: "rotation",
    Type.SPHERICAL: "the projection of 360 degrees",
    Type.STEREO3D: "the layout of stereo pictures",
    Type.ICC_PROFILE: "the ICC profile",
    Type.A53_CC: "closed captions within the pictures",
    Type.S12M_TIMECODE: "time codes within the pictures",
}
_OF_WRITERS = frozenset({"creation_time", "handler_name", "software", "timecode", "company_name", "product_name"})


def noted(frames: Iterable[VideoFrame], found: set[Type]) -> Iterator[VideoFrame]:
    """Pass frames on, adding to `found` what they carry besides pixels and a result may not."""
    for frame in frames:
        found |= _carried(frame, _NAMES.keys() - found)
        yield frame


def losses(clip: Clip, carried: set[Type], result: Path, target: Path) -> tuple[str, ...]:
    """Name in one line what a finished result does not hold of a clip; nothing where it holds all.

    Args:
        carried: what `noted` found in the clip's frames.
        result: the file with the result.
        target: the name it will have.
    """
    with av.open(clip.path) as before, av.open(result) as after:
        missing = [*_of_frames(carried, after), *_of_streams(before, after), *_of_container(before, after)]
    return (f"without {', '.join(missing)} of its source",) if missing else ()


def _of_frames(carried: set[Type], after: InputContainer) -> list[str]:
    first = _first_frame(after.streams.video[0])
    lost = carried - (set[Type]() if first is None else _carried(first, carried))
    return list(dict.fromkeys(name for kind, name in _NAMES.items() if kind in lost))


def _first_frame(stream: VideoStream) -> VideoFrame | None:
    container = stream.container
    assert isinstance(container, InputContainer)
    try:
        return next(container.decode(stream), None)
    except FFmpegError:
        return None


def _carried(frame: VideoFrame, kinds: Iterable[Type]) -> set[Type]:
    return {kind for kind in kinds if side_data(frame, kind) is not None}


def _of_streams(before: InputContainer, after: InputContainer) -> Iterator[str]:
    """Name kinds of streams that there are fewer of, and a language that is gone."""
    left = Counter(stream.type for stream in before.streams) - Counter(stream.type for stream in after.streams)
    for kind, count in left.items():
        yield f"{count} stream{'s' if count > 1 else ''} of {kind}"
    languages = {stream.language for stream in before.streams} - {stream.language for stream in after.streams}
    if languages - {None, "und"}:
        yield "the languages of its streams"


def _of_container(before: InputContainer, after: InputContainer) -> Iterator[str]:
    if len(after.chapters()) < len(before.chapters()):
        yield "chapters"
    kept = {key.lower() for key in after.metadata}
    if lost := sorted(key for key in still_true(before.metadata) if key.lower() not in kept | _OF_WRITERS):
        yield f"the tags {', '.join(lost)}"
