"""Containers of video by the names of their files: those that are read, and FFmpeg's muxer for those that are written."""

from __future__ import annotations

MUXERS = {
    **dict.fromkeys((".mp4", ".m4v"), "mp4"),
    **dict.fromkeys((".mov", ".qt"), "mov"),
    **dict.fromkeys((".mkv", ".mk3d"), "matroska"),
    ".webm": "webm",
    **dict.fromkeys((".avi", ".divx"), "avi"),
    **dict.fromkeys((".ts", ".m2ts", ".mts", ".m2t"), "mpegts"),
    **dict.fromkeys((".mpg", ".mpeg", ".vob"), "vob"),
    ".flv": "flv",
    ".f4v": "f4v",
    ".3gp": "3gp",
    ".3g2": "3g2",
    **dict.fromkeys((".wmv", ".asf"), "asf"),
    ".y4m": "yuv4mpegpipe",
    ".nut": "nut",
}
READ_ONLY = frozenset(
    {
        *(".mxf", ".gxf", ".dv", ".ogv", ".rm", ".rmvb", ".wtv", ".ivf", ".mjpeg", ".mjpg", ".m1v", ".m2v"),
        *(".h264", ".264", ".avc", ".h265", ".265", ".hevc"),
    }
)
SUFFIXES = READ_ONLY | MUXERS.keys()

STEADY = frozenset({"avi", "yuv4mpegpipe"})  # muxers that know one rate and no times
QUICKTIME = frozenset({"mp4", "mov", "f4v", "3gp", "3g2"})  # muxers of one family, whose ticks can be chosen

OPTIONS = {
    ".m2ts": {"mpegts_m2ts_mode": "1"},  # the form on Blu-ray discs and of camcorders, four bytes more a packet
    ".mts": {"mpegts_m2ts_mode": "1"},
    ".y4m": {"strict": "-1"},  # more than 8 bits, which came after the format's description
}
CODECS = {
    "mpegts": frozenset({"h264", "hevc", "mpeg2video"}),
    "yuv4mpegpipe": frozenset({"rawvideo"}),
    "asf": frozenset({"mpeg4"}),
}
"""Codecs of muxers that do not list them, or list more than programs read."""
