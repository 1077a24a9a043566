"""Frames to 16-bit RGB and back, by the colour tags of their own file."""

from __future__ import annotations

from typing import Any

import av.filter
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from lamnet.media.video.clip import MATRICES, Clip

SCALING = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


class Colours:
    """Converts frames of a clip to 16-bit RGB, with alpha where there is some, and results back, by the clip's own tags.

    `pixels`, `width` and `height` are those of the results' frames.
    """

    def __init__(self, clip: Clip, pixels: str, width: int, height: int) -> None:
        self.clip = clip
        self.rgb = "rgba64le" if clip.alpha else "rgb48le"
        span = "full" if clip.full_range else "limited"
        yuv = {"color_matrix": MATRICES.get(clip.matrix, "bt709"), "range": span, "chroma_loc": clip.siting}
        decode = ":".join([*(f"in_{key}={value}" for key, value in yuv.items()), "out_range=full", SCALING])
        encode = ":".join([*(f"out_{key}={value}" for key, value in yuv.items()), "in_range=full", SCALING])
        self._to_rgb = _graph(clip.width, clip.height, clip.pixels, decode, self.rgb)
        self._from_rgb = _graph(width, height, self.rgb, encode, pixels)

    def array(self, frame: VideoFrame) -> NDArray[Any]:
        """Convert a frame to (H, W, 3 or 4) uint16."""
        self._to_rgb.vpush(frame)
        return self._to_rgb.vpull().to_ndarray()

    def frame(self, array: NDArray[Any]) -> VideoFrame:
        """Convert (height, width, 3 or 4) uint16 to a frame of the result."""
        self._from_rgb.vpush(VideoFrame.from_ndarray(array, self.rgb))
        frame = self._from_rgb.vpull()
        frame.color_range, frame.colorspace = self.clip.range, self.clip.matrix
        frame.color_primaries, frame.color_trc = self.clip.primaries, self.clip.transfer
        return frame


def _graph(width: int, height: int, pixels: str, scaling: str, result: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add("buffer", f"video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1")
    graph.link_nodes(
        source, graph.add("scale", scaling), graph.add("format", f"pix_fmts={result}"), graph.add("buffersink")
    ).configure()
    return graph
