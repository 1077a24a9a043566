"""Static HDR metadata that stands in a file's container alone: Matroska's and WebM's, and the boxes of MP4."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _COLOUR = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0
# Red, green, blue, white, brightest and darkest, by Matroska's numbers from 0x55D1 on: Display P3 of 1,000 cd/m2.
_DISPLAY = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 1000.0, 0.005)
_BRIGHTEST, _MEAN = 1000, 400
_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def in_matroska(data: bytes) -> bytes:
    """Return a file whose first track states the light; the places in its index are no longer true."""
    numbers = b"".join(_element(0x55D1 + at, struct.pack(">d", value)) for at, value in enumerate(_DISPLAY))
    content = _element(0x55BC, _BRIGHTEST.to_bytes(2)) + _element(0x55BD, _MEAN.to_bytes(2))
    return _within(data, (_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _COLOUR), _element(0x55D0, numbers) + content)


def in_mp4(data: bytes) -> bytes:
    """Return a file whose first sample entry states the light, behind the pictures' data."""
    x_r, y_r, x_g, y_g, x_b, y_b, x_w, y_w, brightest, darkest = _DISPLAY
    places = [round(50_000 * value) for value in (x_g, y_g, x_b, y_b, x_r, y_r, x_w, y_w)]
    display = struct.pack(">I4s8H2I", 32, b"mdcv", *places, round(10_000 * brightest), round(10_000 * darkest))
    extra = display + struct.pack(">I4s2H", 12, b"clli", _BRIGHTEST, _MEAN)
    found, start, stop, boxes = bytearray(data), 0, len(data), list[int]()
    for name in _BOXES:
        start, stop = next((at, at + size) for at, size, kind in _boxes(found, start, stop) if kind == name)
        boxes.append(start)
        start += 8
    assert data.index(b"mdat") < boxes[0]  # else what is put in would move it
    boxes.append(start + 8)
    (size,) = struct.unpack_from(">I", found, boxes[-1])
    found[boxes[-1] + size : boxes[-1] + size] = extra
    for at in boxes:
        struct.pack_into(">I", found, at, struct.unpack_from(">I", found, at)[0] + len(extra))
    return bytes(found)


def _boxes(data: bytes | bytearray, start: int, stop: int) -> Iterator[tuple[int, int, bytes]]:
    while start < stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        yield start, size, kind
        start += size


def _within(data: bytes, path: Sequence[int], extra: bytes) -> bytes:
    """Put something into the first element of a path, which is made where there is none."""
    out, rest = b"", list(path)
    for number, whole, body in _elements(data):
        if rest and number == rest[0]:
            out += _element(number, _within(body, rest[1:], extra))
            rest = []
        else:
            out += whole
    if not path:
        return data + extra
    return out + (_element(rest[0], _within(b"", rest[1:], extra)) if rest else b"")


def _elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    at = 0
    while at < len(data):
        first = 9 - data[at].bit_length()
        length = 9 - data[at + first].bit_length()
        number = int.from_bytes(data[at : at + first])
        size = int.from_bytes(data[at + first : at + first + length]) & ((1 << 7 * length) - 1)
        body = at + first + length
        end = min(len(data), body + size)
        yield number, data[at:end], data[body:end]
        at = end


def _element(number: int, body: bytes) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8) + (len(body) | 1 << 56).to_bytes(8) + body
