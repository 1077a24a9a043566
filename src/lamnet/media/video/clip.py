"""One video file through PyAV: what its upscaled form has to keep, and its frames as 16-bit RGB and back."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lamnet.base.errors import BadImageError, LamnetError

MATRICES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}  # numbers of ITU-T H.273
BT709, SMPTE170M, BT2020 = 1, 6, 9
FULL_RANGE = 2


@dataclass(frozen=True)
class Clip:
    """The picture stream of a video file. `packets` is about how many frames it has; the tags are as in ITU-T H.273."""

    path: Path
    stream: int
    codec: str
    width: int
    height: int
    pixels: str
    time_base: Fraction
    rate: Fraction | None
    aspect: Fraction | None
    packets: int
    full_range: bool
    range: int
    primaries: int
    transfer: int
    matrix: int
    display: tuple[int, ...] | None  # rotation and flips: the nine numbers of the display matrix
    dolby: bool

    @property
    def alpha(self) -> bool:
        """Whether its pixels have an alpha."""
        return has_alpha(self.pixels)

    @property
    def rgb(self) -> bool:
        """Whether its pixels are RGB and not YUV."""
        return av.VideoFormat(self.pixels).is_rgb

    @property
    def turned(self) -> bool:
        """Whether players show it turned by 90 degrees."""
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


def probe(path: Path, max_pixels: int) -> Clip:
    """Read a video file's header, the times of all its packets, and its first frame.

    Raises BadImageError when it is missing, cut off, or no video, or its frames claim more pixels.
    """
    with video_errors(path, "expected a video"), av.open(path) as container:
        if container.format.name.endswith("_pipe"):
            raise BadImageError(f"{path}: expected a video, found a picture")
        stream = _picture_stream(path, container)
        _check_size(path, stream, max_pixels)
        packets = _count(path, container, stream)
        container.seek(0)
        first = next(container.decode(stream), None)
        if first is None or stream.time_base is None:
            raise BadImageError(f"{path}: expected a video, found no frame")
        if stream.metadata.get("alpha_mode") == "1":
            raise BadImageError(
                f"{path}: expected alpha within the pixels or none, found VP8 or VP9 with alpha in another stream"
            )
        context = stream.codec_context
        pixels = _without_range(first.format.name)
        display = _side_data(first, Type.DISPLAYMATRIX)
        return Clip(
            path=path,
            stream=stream.index,
            codec=context.codec.canonical_name,
            width=first.width,
            height=first.height,
            pixels=pixels,
            time_base=stream.time_base,
            rate=stream.guessed_rate,
            aspect=stream.sample_aspect_ratio,
            packets=packets,
            full_range=first.format.is_rgb or context.color_range == FULL_RANGE or pixels != first.format.name,
            range=context.color_range,
            primaries=context.color_primaries,
            transfer=context.color_trc,
            matrix=_matrix(context.colorspace, first),
            display=struct.unpack("=9i", display[:36]) if display else None,
            dolby=_side_data(first, Type.DOVI_RPU_BUFFER) is not None,
        )


def frames_of(clip: Clip) -> Iterator[VideoFrame]:
    """Yield the frames in the order of time; none is held. Raises BadImageError where the file is cut off or damaged."""
    with video_errors(clip.path, "expected a whole video"), av.open(clip.path) as container:
        last: int | None = None
        stream = container.streams[clip.stream]
        assert isinstance(stream, VideoStream)
        for frame in container.decode(stream):
            found = (frame.width, frame.height, _without_range(frame.format.name))
            if found != (clip.width, clip.height, clip.pixels):
                raise BadImageError(
                    f"{clip.path}: expected frames of one size and kind, found {found} at {frame.time} s"
                )
            if frame.pts is None or (last is not None and frame.pts <= last):
                frame.pts = 0 if last is None else last + 1  # a time that no player could show it at
            last = frame.pts
            yield frame


def _picture_stream(path: Path, container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise BadImageError(f"{path}: expected a video, found no stream of pictures")


def _check_size(path: Path, stream: VideoStream, max_pixels: int) -> None:
    if stream.width * stream.height > max_pixels:
        raise BadImageError(
            f"{path}: expected at most {max_pixels:,} pixels (--max-pixels), "
            f"its header claims {stream.width} x {stream.height}"
        )


def _without_range(pixels: str) -> str:
    """Name a pixel format without its range: yuvj420p is yuv420p in full range."""
    return pixels.replace("yuvj", "yuv")


def _matrix(said: int, first: VideoFrame) -> int:
    """The stream's matrix; where it says none, the one that players take for a video of its size.

    They would take another one at the new size, so the result has to say it.
    """
    if said in MATRICES or first.format.is_rgb or len(first.format.components) <= 2:
        return said
    return BT709 if first.height > 576 or first.width >= 1280 else SMPTE170M


def _side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    sides: Any = frame.side_data  # PyAV's annotation knows one kind only
    try:
        return bytes(sides[kind])
    except (KeyError, ValueError):  # none, or others of a kind that PyAV does not know (EXIF)
        return None


def _count(path: Path, container: InputContainer, stream: VideoStream) -> int:
    """Count the stream's packets. Raises BadImageError when the file ends before the time that its header claims."""
    count, end = 0, Fraction(0)
    for packet in container.demux():
        if packet.pts is not None:
            count += packet.stream_index == stream.index
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    claimed = Fraction(container.duration or 0, av.time_base)
    if end < claimed - 1:
        raise BadImageError(f"{path}: expected {float(claimed):.1f} s of video, found {float(end):.1f} s: cut off")
    return count
