"""GIF files: frames and their timing."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from lamnet import Upscaler
from lamnet.media import arrays, opening, saving
from lamnet.media import picture as pictures_
from lamnet.media.codecs import gif
from support.pictures import gradient


@pytest.mark.parametrize(("source", "target"), [*itertools.product([".gif", ".webp"], repeat=2)])
def test_frames_keep_their_timing(upscaler: Upscaler, tmp_path: Path, source: str, target: str) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(
        tmp_path / f"a{source}",
        save_all=True,
        append_images=frames[1:],
        duration=[100, 200, 300],
        loop=3,
        lossless=True,
    )
    upscaler.file(tmp_path / f"a{source}", tmp_path / f"b{target}")
    before, after = (
        pyvips.Image.new_from_file(str(path), n=-1) for path in (tmp_path / f"a{source}", tmp_path / f"b{target}")
    )
    assert (after.width, after.get_page_height(), after.get("n-pages")) == (60, 40, 3)
    assert after.get("delay") == [100, 200, 300]
    assert after.get("loop") == before.get("loop")
    means = after.numpy()[..., :3].reshape(3, -1, 3).mean(1)
    np.testing.assert_allclose(means, [[255, 0, 0], [0, 128, 0], [0, 0, 255]], atol=6)


@pytest.mark.thorough
def test_whole_is_to_the_end_of_the_last_block(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (9, 7, 3), np.uint8)) for i in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=b"words")
    data = (tmp_path / "a.gif").read_bytes()
    assert gif.layout_of(tmp_path / "a.gif")
    for cut in range(2, len(data), 3):  # the last byte says nothing more than that
        (tmp_path / "a.gif").write_bytes(data[: len(data) - cut])
        assert not gif.layout_of(tmp_path / "a.gif") or data[len(data) - cut - 1] == 0


def test_a_result_is_no_gif_unasked(tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.gif")
    assert saving.suffix_for(opening.open_picture(tmp_path / "a.gif"), (72, 48)) == ".png"


def gif_of(boxes: list[tuple[int, int, int, int]], control: int | None = None, colours: int = 2) -> bytes:
    """A GIF of 8 x 6 of frames of one colour; `control` is what becomes of a frame afterwards."""
    palette = bytes(range(256)) * 3 if colours > 2 else bytes([255, 0, 0, 0, 0, 255])
    size = {2: 0, 256: 7}[colours]
    out = b"GIF89a" + struct.pack("<HHBBB", 8, 6, 0xF0 | size, 0, 0) + palette
    for box in boxes:
        if control is not None:
            out += bytes([0x21, 0xF9, 4, control << 2, 10, 0, 0, 0])
        file = io.BytesIO()
        frame = (
            np.full((box[3], box[2]), 1, np.uint8) if colours == 2 else np.arange(box[2] * box[3]).reshape(box[3], -1)
        )
        image = Image.fromarray(frame.astype(np.uint8))
        image.putpalette(palette)
        image.save(file, "GIF", optimize=False)
        data = file.getvalue()
        at = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))
        out += b"," + struct.pack("<4H", *box) + data[at + 9 : -1]
    return out + b";"


@pytest.mark.parametrize("control", [None, 0, 1])
@pytest.mark.parametrize("colours", [2, 256])
def test_what_no_frame_covers_is_transparent(tmp_path: Path, control: int | None, colours: int) -> None:
    (tmp_path / "a.gif").write_bytes(gif_of([(2, 1, 4, 3)], control, colours))
    alpha = np.zeros((6, 8), np.uint8)
    alpha[1:4, 2:6] = 255
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.gif")[..., 3], alpha)


def test_what_is_taken_away_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif_of([(0, 0, 8, 6), (2, 2, 2, 2)], control=2))
    picture = opening.open_picture(tmp_path / "a.gif")
    alphas = [pictures_.read(picture, page, 0, 0, 6, 8)[..., 3] for page in range(2)]
    assert (alphas[0] == 255).all()
    assert alphas[1].sum() == 4 * 255


@pytest.mark.parametrize("boxes", [[(0, 0, 8, 6)], [(0, 0, 8, 6), (1, 1, 2, 2)]])
def test_a_canvas_that_is_covered_stays_opaque(tmp_path: Path, boxes: list[tuple[int, int, int, int]]) -> None:
    (tmp_path / "a.gif").write_bytes(gif_of(boxes))
    assert arrays.read_array(tmp_path / "a.gif").shape == (6, 8, 3)


@pytest.mark.thorough
def test_ten_thousand_frames(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif_of([(0, 0, 8, 6)] * 10_001))
    assert len(opening.open_picture(tmp_path / "a.gif").pages) == 10_001


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_ten_thousand_frames_of_a_result(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((4, 4), number * 37 % 256, np.uint8)) for number in range(10_001)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    upscaler.file(tmp_path / "a.gif", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as out:
        assert getattr(out, "n_frames", 1) == 10_001


@pytest.mark.parametrize("text", [b"A comment", "Größe".encode(), "Größe".encode("latin-1"), bytes(range(65, 90)) * 30])
def test_comments(upscaler: Upscaler, tmp_path: Path, text: bytes) -> None:
    Image.fromarray(gradient(1)[..., 0]).save(tmp_path / "a.gif", comment=text)
    words = "Größe" if text.startswith(b"Gr") else text.decode()
    for suffix in (".gif", ".png", ".jpg"):
        upscaler.file(tmp_path / "a.gif", tmp_path / f"b{suffix}")
        with Image.open(tmp_path / f"b{suffix}") as out:
            out.load()
            assert (out.info["Comment"] if suffix == ".png" else out.info["comment"]) == (
                words if suffix == ".png" else text
            )
    upscaler.file(tmp_path / "b.jpg", tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as out:
        assert out.info["Comment"] == words
    picture = opening.open_picture(tmp_path / "a.gif")
    assert saving.losses(picture, Path("b.png")) == ()
    assert saving.losses(picture, Path("b.webp")) == ("without its comment, which .webp does not hold",)


def test_several_comments(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(1)[..., 0]).save(tmp_path / "a.gif")
    data = (tmp_path / "a.gif").read_bytes()
    blocks = gif.comment_block(b"one") + gif.comment_block(b"two") + gif.comment_block(b"x" * 2**20)
    (tmp_path / "a.gif").write_bytes(data[:-1] + blocks + data[-1:])
    assert opening.open_picture(tmp_path / "a.gif").extras.comments == (b"one", b"two")
    upscaler.file(tmp_path / "a.gif", tmp_path / "b.gif")
    assert (tmp_path / "b.gif").read_bytes().count(gif.comment_block(b"one") + gif.comment_block(b"two")) == 1
