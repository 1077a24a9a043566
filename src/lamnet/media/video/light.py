"""Static HDR metadata, which HDR10 asks for: the display a video was mastered on, and how bright its pictures are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

Point = tuple[float, float]  # of the CIE 1931 chromaticity diagram

_LISTS = {  # encoder: its list of options, in it the display and the content, and whether the display is in decimals
    "libx265": ("x265-params", "master-display", "max-cll", False),
    "libx264": ("x264-params", "mastering-display", "cll", False),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", True),
}
_PRIMARIES, _WHITE, _LUMINANCE = slice(0, 12), slice(12, 16), slice(16, 20)  # of AVMasteringDisplayMetadata


@dataclass(frozen=True)
class Display:
    """The display that a video was mastered on (SMPTE ST 2086): chromaticities, and its darkest and brightest in cd/m2."""

    red: Point
    green: Point
    blue: Point
    white: Point
    darkest: float
    brightest: float


@dataclass(frozen=True)
class Light:
    """Static HDR metadata of a stream.

    Attributes:
        display: None where it states none.
        content: the brightest pixel and the brightest frame's mean in cd/m2 (MaxCLL, MaxFALL); None where it states none.
    """

    display: Display | None = None
    content: tuple[int, int] | None = None


def light_of(mastering: bytes | None, content: bytes | None) -> Light:
    """Read FFmpeg's AVMasteringDisplayMetadata and AVContentLightMetadata."""
    brightest, mean = struct.unpack("=2I", content[:8]) if content else (0, 0)
    return Light(None if mastering is None else _display(mastering), (brightest, mean) if content else None)


def with_light(options: dict[str, str], light: Light, encoder: str) -> dict[str, str]:
    """Return an encoder's options with those that write this into the stream; the same where it cannot."""
    if encoder not in _LISTS:
        return options
    parameters, display, content, decimals = _LISTS[encoder]
    stated = [options.get(parameters)]
    if light.display is not None:
        stated.append(f"{display}={_decimals(light.display) if decimals else _integers(light.display)}")
    if light.content is not None:
        stated.append(f"{content}={light.content[0]},{light.content[1]}")
    text = ":".join(one for one in stated if one)
    return options | {parameters: text} if text else options


def _display(data: bytes) -> Display | None:
    numbers = struct.unpack("=22i", data[:88])
    if not (numbers[20] and numbers[21]):  # has_primaries, has_luminance
        return None
    x_r, y_r, x_g, y_g, x_b, y_b = _ratios(numbers[_PRIMARIES])
    x_w, y_w = _ratios(numbers[_WHITE])
    darkest, brightest = _ratios(numbers[_LUMINANCE])
    return Display((x_r, y_r), (x_g, y_g), (x_b, y_b), (x_w, y_w), darkest, brightest)


def _ratios(numbers: tuple[int, ...]) -> list[float]:
    return [float(Fraction(top, bottom or 1)) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)]


def _integers(display: Display) -> str:
    """Write a display as HEVC's message states it: in 1/50000, and in 1/10000 cd/m2."""
    places = [f"({round(50_000 * x)},{round(50_000 * y)})" for x, y in _points(display)]
    return _text(places, f"({round(10_000 * display.brightest)},{round(10_000 * display.darkest)})")


def _decimals(display: Display) -> str:
    places = [f"({x:.5f},{y:.5f})" for x, y in _points(display)]
    return _text(places, f"({display.brightest:.4f},{display.darkest:.4f})")


def _points(display: Display) -> list[Point]:
    return [display.green, display.blue, display.red, display.white]


def _text(places: list[str], luminance: str) -> str:
    green, blue, red, white = places
    return f"G{green}B{blue}R{red}WP{white}L{luminance}"
