"""The encoding of a result: codec, pixel format, quality, size."""

from __future__ import annotations

import io
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import av
from av.codec.codec import find_best_pix_fmt_of_list

from lamnet.base.errors import BadImageError
from lamnet.media.video import containers
from lamnet.media.video.clip import Clip, has_alpha
from lamnet.media.video.light import with_light

FINEST = {"flags": "+qscale", "global_quality": str(2 * 118)}  # the second best of 31 quantizers, in FFmpeg's units

# Constant quality, hardly to be told from the network's own frames. A short look-ahead bounds the encoder's memory.
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"crf": "16", "rc-lookahead": "10"}),
    "hevc": ("libx265", {"crf": "16", "x265-params": "log-level=none:rc-lookahead=10"}),
    "vp9": ("libvpx-vp9", {"crf": "20", "b": "0", "cpu-used": "2", "row-mt": "1", "lag-in-frames": "10"}),
    "av1": ("libsvtav1", {"crf": "20", "preset": "6"}),
    "prores": ("prores_ks", {}),
    "ffv1": ("ffv1", {"level": "3"}),
    "mpeg2video": ("mpeg2video", FINEST),
    "mpeg4": ("mpeg4", FINEST),
    "rawvideo": ("rawvideo", {}),
}
WHOLE_CHROMA = frozenset({"h264", "hevc"})  # their encoders refuse widths and heights that cut a chroma sample
LOSSLESS = ("ffv1",)  # for alpha and RGB, which H.264's encoder here does not take
LAST = ("mpeg2video", "mpeg4", "rawvideo")  # for containers that hold nothing newer, since they are so large
FALLBACKS = ("h264", "vp9", *LAST)  # where the source's codec has no encoder here, or the container does not take it
PLANES = ("gray", *(f"yuv{kind}p{bits}" for bits in ("", "10le", "12le", "16le") for kind in (420, 422, 444)))  # of Y4M
BY_RATE = frozenset({"mpeg2video", "mpeg4"})  # their encoders count frames, or know few times

# Starts of the names of metadata that describe the source's bytes and that the new container writes anew.
OF_THE_SOURCE = (
    *("encoder", "ENCODER", "vendor_id", "major_brand", "minor_version", "compatible_brands"),
    *("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_"),
)


@dataclass(frozen=True)
class Encoding:
    """Codec, encoder and its options, pixel format and size of an upscaled clip."""

    codec: str
    encoder: str
    options: dict[str, str]
    pixels: str
    width: int
    height: int


def encoding_for(clip: Clip, target: Path, size: tuple[int, int]) -> Encoding:
    """Choose the source's codec and pixel format, or the nearest that its encoder and the target's container take.

    The result has this (width, height), or up to a chroma sample less where the codec wants whole ones. Raises
    BadImageError where none holds the clip's alpha or RGB, or the container knows one rate and the clip has not.
    """
    if containers.MUXERS[target.suffix.lower()] in containers.STEADY and not clip.steady:
        raise BadImageError(f"{target}: expected a name that ends in .mkv, for frames of varying duration")
    supported = _codecs_in(containers.MUXERS[target.suffix.lower()])
    own = () if clip.codec in LAST else (clip.codec,)
    for codec in (*own, *(LOSSLESS if clip.alpha or clip.rgb else FALLBACKS)):
        if codec in ENCODERS and codec in supported:
            encoder, options = ENCODERS[codec]
            options = with_light(options, clip.light, encoder)
            pixels = _nearest(encoder, clip)
            keeps_alpha = has_alpha(pixels) or not clip.alpha
            keeps_rgb = av.VideoFormat(pixels).is_rgb or not clip.rgb
            if keeps_alpha and keeps_rgb:
                return _sized(codec, encoder, options, pixels, size)
    raise BadImageError(f"{target}: expected a name that ends in .mkv, for transparency or RGB")


def _codecs_in(muxer: str) -> Set[str]:
    if muxer in containers.CODECS:
        return containers.CODECS[muxer]
    with av.open(io.BytesIO(), "w", format=muxer) as container:
        return container.supported_codecs


def _nearest(encoder: str, clip: Clip) -> str:
    """Choose the clip's pixel format, or the one that loses least of those that the encoder takes.

    To keep alpha counts most, then to keep RGB.
    """
    kinds = av.Codec(encoder, "w").video_formats or [av.VideoFormat(name) for name in PLANES]
    if clip.pixels in [kind.name for kind in kinds]:
        return clip.pixels
    kinds = [kind for kind in kinds if has_alpha(kind.name) == clip.alpha] or kinds
    formats = [kind.name for kind in kinds if kind.is_rgb == clip.rgb] or [kind.name for kind in kinds]
    best, _ = find_best_pix_fmt_of_list(formats, clip.pixels)
    return best.name if best else formats[0]


def _sized(codec: str, encoder: str, options: dict[str, str], pixels: str, size: tuple[int, int]) -> Encoding:
    width, height = size
    if codec in WHOLE_CHROMA:
        kind = av.VideoFormat(pixels)
        across, down = 4 // kind.chroma_width(4), 4 // kind.chroma_height(4)
        width, height = max(across, width // across * across), max(down, height // down * down)
    return Encoding(codec, encoder, options, pixels, width, height)
