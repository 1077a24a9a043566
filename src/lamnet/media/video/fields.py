"""Interlaced video: frames of two fields, half a frame's time apart, become whole frames of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av.error
import av.filter
from av.video.frame import VideoFrame

from lamnet.media.video.clip import FIELD_BY_FIELD, Clip, check_fields, video_errors

DEINTERLACED = "was interlaced and is deinterlaced (bwdif), a frame for every two fields"
COMBED = "was interlaced, though not marked so, and is deinterlaced (bwdif); --fields progressive leaves it as it is"
SINGLE_FIELDS = "was interlaced, in pictures of one field each; they are enlarged as they are"
AS_IT_IS = "is marked as interlaced and enlarged as if progressive, as --fields progressive says"


class WholeFrames:
    """Iterates over the frames of a clip, deinterlaced where they are interlaced; times and durations are kept.

    Raises BadImageError at an interlaced frame where the clip's fields are to be kept.
    """

    def __init__(self, clip: Clip, frames: Iterator[VideoFrame]) -> None:
        self._clip = clip
        self._frames = frames
        self._interlaced = False

    @property
    def note(self) -> str | None:
        """One line about what was done so far; None for progressive frames."""
        if not self._interlaced:
            return None
        if self._clip.fields == "progressive":
            return AS_IT_IS
        if self._clip.combed:
            return COMBED
        return SINGLE_FIELDS if self._clip.codec in FIELD_BY_FIELD else DEINTERLACED

    def __iter__(self) -> Iterator[VideoFrame]:
        for frame in self._frames:
            if frame.interlaced_frame or self._clip.order:
                self._interlaced = True
                check_fields(self._clip)
                if self._is_woven:
                    yield from self._deinterlaced(frame)
                    return
            yield frame

    @property
    def _is_woven(self) -> bool:
        """Tell whether interlaced frames are to be deinterlaced: they hold two fields, and are not taken as they are."""
        return self._clip.fields != "progressive" and (self._clip.combed or self._clip.codec not in FIELD_BY_FIELD)

    def _deinterlaced(self, first: VideoFrame) -> Iterator[VideoFrame]:
        """Deinterlace from the first interlaced frame on; progressive ones among them pass as they are."""
        with video_errors(self._clip.path, "cannot be deinterlaced"):
            graph = _graph(self._clip, first)
            graph.vpush(first)
        for frame in self._frames:
            with video_errors(self._clip.path, "cannot be deinterlaced"):
                graph.vpush(frame)
            yield from _pulled(graph, self._clip.time_base)
        graph.vpush(None)
        yield from _pulled(graph, self._clip.time_base)


def _graph(clip: Clip, first: VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    size, pixels = f"{first.width}x{first.height}", first.format.name
    nodes = [graph.add("buffer", f"video_size={size}:pix_fmt={pixels}:time_base={clip.time_base}")]
    if clip.order:
        nodes.append(graph.add("setfield", clip.order))
    nodes.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
    nodes.append(graph.add("format", f"pix_fmts={pixels}"))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: av.filter.Graph, base: Fraction) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert frame.pts is not None
        assert frame.time_base is not None
        ticks = frame.time_base / base  # half a tick, as a rule
        frame.pts, frame.duration = int(frame.pts * ticks), int(frame.duration * ticks)
        frame.time_base = base
        yield frame
