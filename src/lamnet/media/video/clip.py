"""The picture stream of a video file: all that its upscaled form has to keep, and its frames in the order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lamnet.base.errors import BadImageError, LamnetError
from lamnet.media.video.light import Light

Fields = Literal["deinterlace", "keep", "progressive"]
Clock = Literal["pts", "dts", "rate"]
MATRICES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}  # numbers of ITU-T H.273
BT709, SMPTE170M, BT2020 = 1, 6, 9
FULL_RANGE = 2
FIELD_BY_FIELD = frozenset({"hevc", "vvc"})  # codecs whose interlaced pictures are single fields of half the height


@dataclass(frozen=True)
class Clip:
    """The picture stream of a video file; its tags are as in ITU-T H.273.

    Attributes:
        rate: frames a second as the file states it, or 25.
        packets: about how many frames it has.
        clock: where its frames' times come from: their own, those of decoding where the container states no others (AVI), or
            the rate where it states none (raw streams).
        steady: its times are those of the stated rate.
        display: rotation and flips, the nine numbers of the display matrix.
        light: static HDR metadata.
        interlaced: its first frame holds two fields, or is one.
        combed: its pixels alone show that.
        order: "tff" or "bff" where the container or the pixels alone say which field is shown first.
        fields: what becomes of interlaced frames.
    """

    path: Path
    stream: int
    codec: str
    width: int
    height: int
    pixels: str
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None
    packets: int
    clock: Clock
    steady: bool
    full_range: bool
    range: int
    primaries: int
    transfer: int
    matrix: int
    display: tuple[int, ...] | None
    light: Light
    dolby: bool
    interlaced: bool
    combed: bool
    order: str | None
    fields: Fields

    @property
    def alpha(self) -> bool:
        """Tell whether its pixels have an alpha."""
        return has_alpha(self.pixels)

    @property
    def rgb(self) -> bool:
        """Tell whether its pixels are RGB and not YUV."""
        return av.VideoFormat(self.pixels).is_rgb

    @property
    def turned(self) -> bool:
        """Tell whether players show it turned by 90 degrees."""
        return self.display is not None and abs(self.display[1]) > abs(self.display[0])

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) as players show it: with square pixels, turned."""
        width, height = max(1, round(self.width * (self.aspect or 1))), self.height
        return (height, width) if self.turned else (width, height)

    @property
    def siting(self) -> str:
        """Place of the chroma samples: PyAV does not tell it, so that of the standards for these colours."""
        return "topleft" if self.matrix == BT2020 else "left"


def has_alpha(pixels: str) -> bool:
    """Tell whether a pixel format has an alpha."""
    return any(component.is_alpha for component in av.VideoFormat(pixels).components)


@contextmanager
def video_errors(path: Path, what: str) -> Generator[None]:
    """Turn what FFmpeg and the system say about a file into one BadImageError that names it."""
    try:
        yield
    except LamnetError:
        raise
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadImageError(f"{path}: {what}: {reason}") from error


def check_fields(clip: Clip) -> None:
    """Raise BadImageError for an interlaced clip whose fields are to be kept, which no enlarged frame can."""
    if clip.fields == "keep":
        raise BadImageError(
            f"{clip.path}: expected progressive video with --fields keep, found interlaced: enlarged frames hold no fields"
        )


def frames_of(clip: Clip) -> Iterator[VideoFrame]:
    """Yield the frames in the order of time; none is held. Raises BadImageError where the file is cut off or damaged."""
    with video_errors(clip.path, "expected a whole video"), av.open(clip.path) as container:
        last: int | None = None
        stream = container.streams[clip.stream]
        assert isinstance(stream, VideoStream)
        for frame in _decoded(clip, container, stream):
            found = (frame.width, frame.height, without_range(frame.format.name))
            if found != (clip.width, clip.height, clip.pixels):
                raise BadImageError(
                    f"{clip.path}: expected frames of one size and kind, found {found} at {frame.time} s"
                )
            if frame.pts is None or (last is not None and frame.pts <= last):
                frame.pts = 0 if last is None else last + 1  # a time that no player could show it at
            last = frame.pts
            yield frame


def _decoded(clip: Clip, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames at times by the clip's clock. A frame is shown when one is decoded, B-frames or not."""
    starts, numbers = deque[int | None](), count()
    for packet in container.demux(stream):
        if packet.size:
            starts.append(packet.dts)
        for frame in packet.decode():
            if clip.clock == "dts":
                frame.pts = starts.popleft() if starts else None
            elif clip.clock == "rate":
                frame.pts = round(next(numbers) / (clip.rate * clip.time_base))
            yield frame


def without_range(pixels: str) -> str:
    """Name a pixel format without its range: yuvj420p is yuv420p in full range."""
    return pixels.replace("yuvj", "yuv")


def side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    """Return the bytes of side data of a kind; None where a frame has none."""
    sides: Any = frame.side_data  # PyAV's annotation knows one kind only
    try:
        return bytes(sides[kind])
    except (KeyError, ValueError):  # none, or others of a kind that PyAV does not know (EXIF)
        return None
