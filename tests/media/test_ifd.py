"""Directories of fields: what is written is read again, in every layout; what is broken says so."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lamnet.media import exif, ifd
from lamnet.media.ifd import BrokenError, Directory, Field, Layout

_POINTERS = {ifd.EXIF, ifd.GPS, ifd.INTEROP}
_kinds = st.sampled_from(sorted(ifd.ITEM))
_fields = st.tuples(_kinds, st.integers(1, 5), st.randoms(use_true_random=False)).map(
    lambda drawn: Field(drawn[0], drawn[2].randbytes(drawn[1] * ifd.ITEM[drawn[0]] * (2 if drawn[0] in (5, 10) else 1)))
)
_tags = st.integers(1, 2**16 - 1).filter(lambda tag: tag not in _POINTERS)
_directories = st.dictionaries(_tags, _fields, max_size=12).map(Directory)
_layouts = st.builds(Layout, st.sampled_from("<>"), st.booleans())


def file_of(layout: Layout, *directories: Directory) -> io.BytesIO:
    """A TIFF of directories without pixels."""
    order = {"<": b"II", ">": b"MM"}[layout.order]
    version = struct.pack(layout.order + ("HHHQ" if layout.big else "HL"), *((43, 8, 0, 0) if layout.big else (42, 0)))
    file = io.BytesIO(order + version)
    link = layout.start
    for directory in directories:
        at = ifd.write(file, layout, directory)
        file.seek(link)
        file.write(layout.offset.pack(at))
        _, link = ifd.entries(file, layout, at)
    return file


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(layout=_layouts, pages=st.lists(_directories, max_size=3), details=_directories, place=_directories)
def test_round_trip(layout: Layout, pages: list[Directory], details: Directory, place: Directory) -> None:
    last = Directory({ifd.EXIF: details, ifd.GPS: place})
    file = file_of(layout, *pages, last)
    assert Layout.of(file) == layout
    assert [ifd.read(file, layout, at) for at in ifd.chain(file, layout)] == [*pages, last]


@settings(max_examples=40, deadline=None)
@given(directory=_directories, cut=st.integers(0, 400))
def test_what_breaks_off_is_broken_or_has_fewer_fields(directory: Directory, cut: int) -> None:
    data = ifd.alone(directory)
    file = io.BytesIO(data[: max(0, len(data) - cut)])
    try:
        layout = Layout.of(file)
        found = [ifd.read(file, layout, at) for at in ifd.chain(file, layout)]
    except BrokenError:
        return
    assert all(one.items() <= directory.items() for one in found)


@pytest.mark.parametrize("data", [b"", b"II", b"XX*\0", b"II*\0", b"II*\0\x08\0\0\0\1"])
def test_broken_headers(data: bytes) -> None:
    file = io.BytesIO(data)
    with pytest.raises(BrokenError):
        list(ifd.chain(file, Layout.of(file)))


def test_a_chain_that_closes_on_itself_ends() -> None:
    file = file_of(Layout("<"), Directory(), Directory())
    first, second = ifd.chain(file, Layout("<"))
    file.seek(ifd.entries(file, Layout("<"), second)[1])
    file.write(struct.pack("<L", first))
    assert list(ifd.chain(file, Layout("<"))) == [first, second]


def test_numbers_of_one_type_or_none() -> None:
    directory = Directory({1: Field(3, b"\7\0\1\0"), 2: Field(5, bytes(8)), 3: Directory(), 4: Field(12, bytes(8))})
    assert [directory.number(tag) for tag in (1, 2, 3, 4, 5)] == [7, 0, None, None, None]


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from("<>"),
    orientation=st.integers(1, 8),
    size=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    factor=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    texts=st.dictionaries(st.sampled_from([0x010F, 0x0110, 0x0131, 0x9999]), st.text("abc 1", min_size=1), max_size=4),
)
def test_exif_states_the_result_and_keeps_the_rest(
    order: str, orientation: int, size: tuple[int, int], factor: tuple[int, int], texts: dict[int, str]
) -> None:
    tags = Image.Exif()
    tags.endian = order
    tags[0x0112], tags[0x0100], tags[0x0101], tags[0x011A], tags[0x011B] = orientation, 7, 5, 72.0, 96.0
    for tag, text in texts.items():
        tags[tag] = text
    made = exif.corrected(tags.tobytes(), size, factor, None, None)
    assert made is not None
    read = Image.Exif()
    read.load(made)
    across, down = (96, 72) if orientation >= 5 else (72, 96)
    assert (read[0x0112], read[0x0100], read[0x0101]) == (1, *size)
    assert (read[0x011A], read[0x011B]) == (across * factor[0], down * factor[1])
    assert {tag: read[tag] for tag in texts} == {tag: text.rstrip("\0") for tag, text in texts.items()}


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=120), start=st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_exif_of_noise_is_none_or_a_block(data: bytes, start: bytes) -> None:
    made = exif.corrected(start + data, (8, 8), (2, 2), (300, 300), exif.Thumbnail(b"small", 4, 4))
    assert made is None or made[:4] == start[:4] or not start
