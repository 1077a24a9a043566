"""NAL units of HEVC that carry dynamic HDR metadata, written bit by bit."""

from __future__ import annotations


def hdr10_plus() -> bytes:
    """A prefix SEI message with the smallest dynamic metadata of SMPTE ST 2094-40."""
    levels = [(400, 27), (0, 1), (100, 17), (100, 17), (100, 17), (50, 17)]
    bits = fixed((1, 2), *levels, (0, 4), (0, 10), (0, 1), (0, 1), (0, 1))
    payload = b"\xb5\x00\x3c\x00\x01\x04\x01" + as_bytes(bits)
    return b"\x4e\x01" + escaped(b"\x04" + bytes([len(payload)]) + payload + b"\x80")


def dolby_vision() -> bytes:
    """The unit of a Dolby Vision picture (profile 8): three curves that change nothing (ETSI GS CCM 001)."""
    sequence = fixed((2, 6), (0, 11), (1, 4), (0, 4), (1, 1), (0, 1), (0, 2)) + golomb(23) + fixed((1, 2), (0, 1))
    depths = golomb(2) * 2 + golomb(4) + fixed((0, 1), (0, 3), (0, 1), (1, 1), (0, 1), (0, 1))
    pivots = golomb(0) * 3 + (golomb(0) + fixed((0, 10), (1023, 10))) * 3 + golomb(0) * 2
    curve = golomb(0) * 2 + fixed((0, 1)) + golomb(0) + fixed((0, 23)) + golomb(1) + fixed((0, 23))
    body = as_bytes(sequence + depths + pivots + curve * 3)
    return b"\x7c\x01" + escaped(b"\x19" + body + _checksum(body).to_bytes(4, "big") + b"\x80")


def fixed(*fields: tuple[int, int]) -> str:
    """Write (value, bits) after each other."""
    return "".join(f"{value:0{size}b}" for value, size in fields)


def golomb(value: int) -> str:
    """Write a number as an unsigned Exp-Golomb code."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def as_bytes(bits: str) -> bytes:
    """Pad bits to whole bytes."""
    count = -(-len(bits) // 8)
    return int(bits.ljust(8 * count, "0"), 2).to_bytes(count, "big")


def escaped(data: bytes) -> bytes:
    """Keep start codes out of a NAL unit."""
    out = bytearray()
    for byte in data:
        if out[-2:] == b"\0\0" and byte < 4:
            out.append(3)
        out.append(byte)
    return bytes(out)


def _checksum(data: bytes) -> int:
    """CRC-32 of MPEG-2, from the highest bit on."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value >> 31 else value << 1) & 0xFFFFFFFF
    return value
