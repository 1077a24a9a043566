"""Combs in frames that nothing says to be interlaced, as the pixels of the first ones show them.

FFmpeg's idet compares each frame with those around it, and takes text that scrolls by whole lines for fields. So a clip
must have combs within its frames as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise

import av.error
import av.filter
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

LOOKED_AT = 48  # frames
_LEAST = 4  # frames with combs
_SHARE = 3  # frames with combs for each without
_THRESHOLD = 1.2  # of idet; with its 1.04 fades count as interlaced
_STEP = 12  # of 255, from a line to those around it
_TEETH = 0.9  # for each step between lines of one field; textures and noise have at most as many, combs far more
_MOST_COLUMNS = 480  # of a frame
_COUNT = "lavfi.idet.multiple."


def order_by_combs(frames: Iterable[VideoFrame]) -> str | None:
    """Tell by the first frames of a clip whether they hold two fields each: "tff" or "bff", by which one is shown first.

    Returns None for progressive and still frames, and where there is no clear answer.
    """
    shown = list[np.ndarray]()
    counts = _counts(_noted(islice(frames, LOOKED_AT), shown))
    order = max(("tff", "bff"), key=lambda name: counts.get(name, 0))
    combed = counts.pop(order, 0)
    others = counts.get("tff", 0) + counts.get("bff", 0) + counts.get("progressive", 0)
    return order if combed >= _LEAST and combed > _SHARE * others and _has_combs(shown) else None


def _noted(frames: Iterable[VideoFrame], shown: list[np.ndarray]) -> Iterator[VideoFrame]:
    """Pass frames on, adding some columns of each to `shown`, in grey."""
    for frame in frames:
        grey = frame.reformat(format="gray").to_ndarray()
        shown.append(grey[:, :: -(-grey.shape[1] // _MOST_COLUMNS)].astype(np.int16))
        yield frame


def _has_combs(shown: Sequence[np.ndarray]) -> bool:
    """Tell whether, where something moves, lines stand out against their neighbours more than against those of their field."""
    teeth = steps = 0
    for before, frame in pairwise(shown):
        moves = np.abs(frame - before)[2:-2] > _STEP
        teeth += int((_stands_out(frame[2:-2], frame[1:-3], frame[3:-1]) & moves).sum())
        steps += int((_stands_out(frame[2:-2], frame[:-4], frame[4:]) & moves).sum())
    return teeth > _TEETH * steps


def _stands_out(line: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Mark pixels that are darker than both of two others, or lighter than both."""
    up, down = line - above, line - below
    return ((up > _STEP) & (down > _STEP)) | ((up < -_STEP) & (down < -_STEP))


def _counts(frames: Iterable[VideoFrame]) -> dict[str, int]:
    """Count frames by what they are found to be, as far as they can be decoded and are of one kind."""
    graph, first, found = av.filter.Graph(), None, dict[str, str]()
    try:
        for frame in frames:
            if first is None:
                first = frame
                size, pixels = f"{frame.width}x{frame.height}", frame.format.name
                buffer = graph.add("buffer", f"video_size={size}:pix_fmt={pixels}:time_base=1/1000")
                graph.link_nodes(
                    buffer, graph.add("idet", f"intl_thres={_THRESHOLD}"), graph.add("buffersink")
                ).configure()
            if (frame.width, frame.height, frame.format.name) != (first.width, first.height, first.format.name):
                break
            graph.vpush(frame)
            found = _last(graph) or found
    except FFmpegError:  # of damaged frames, which are refused when they are enlarged
        pass
    return {name.removeprefix(_COUNT): int(float(text)) for name, text in found.items() if _is_count(name)}


def _is_count(name: str) -> bool:
    return name.startswith(_COUNT) and not name.endswith("current_frame")


def _last(graph: av.filter.Graph) -> dict[str, str]:
    """Pull all frames that are ready; return what the last one says."""
    said = dict[str, str]()
    while True:
        try:
            said = dict(graph.vpull().metadata)
        except (av.error.BlockingIOError, av.error.EOFError):
            return said
