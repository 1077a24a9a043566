"""Losses of a finished video: all of its source that it does not hold, as the two files themselves show it."""

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


def losses(clip: Clip, carried: set[Type], result: Path) -> tuple[str, ...]:
    """Name in one line what a finished result does not hold of a clip; nothing where it holds all.

    Args:
        carried: what `noted` found in the clip's frames.
        result: the file with the result.
    """
    with av.open(clip.path) as before, av.open(result) as after:
        missing = [
            *_of_pixels(clip.pixels, after.streams.video[0].codec_context.pix_fmt),
            *_of_frames(carried, after),
            *_of_streams(before, after),
            *_of_container(before, after),
        ]
    return (f"without {', '.join(missing)} of its source",) if missing else ()


def _of_pixels(before: str, after: str | None) -> Iterator[str]:
    old, new = av.VideoFormat(before), av.VideoFormat(after or before)
    if new.components[0].bits < old.components[0].bits:
        yield f"{old.components[0].bits} bits a sample ({new.components[0].bits} remain)"
    if len(old.components) > 2 and (new.chroma_width(4), new.chroma_height(4)) < (
        old.chroma_width(4),
        old.chroma_height(4),
    ):
        yield f"the resolution of its colours ({before} became {after})"


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
    """Name kinds of streams that there are fewer of, and that languages are gone."""
    for kind, number in (_streams(before) - _streams(after)).items():
        yield f"{number} stream{'s' if number > 1 else ''} of {kind}"
    if _languages(before) - _languages(after):
        yield "the languages of its streams"


def _streams(container: InputContainer) -> Counter[str]:
    """Count streams by their kind, but for the one of data that chapters of MP4 are stored in."""
    found = Counter[str](stream.type for stream in container.streams)
    if container.chapters() and "mp4" in container.format.name:
        found["data"] = max(0, found["data"] - 1)
    return found


def _languages(container: InputContainer) -> set[str | None]:
    return {stream.language for stream in container.streams if stream.type != "data"} - {None, "und"}


def _of_container(before: InputContainer, after: InputContainer) -> Iterator[str]:
    if len(after.chapters()) < len(before.chapters()):
        yield "chapters"
    kept = {key.lower() for key in after.metadata}
    if lost := sorted(key for key in still_true(before.metadata) if key.lower() not in kept | _OF_WRITERS):
        yield f"the tag{'s' if len(lost) > 1 else ''} {', '.join(lost)}"
