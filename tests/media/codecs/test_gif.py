"""GIF files: frames and their timing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from lamnet import Upscaler
from lamnet.media import opening, saving
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


def test_whole_is_to_the_end_of_the_last_block(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (9, 7, 3), np.uint8)) for i in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=b"words")
    data = (tmp_path / "a.gif").read_bytes()
    assert gif.is_whole(tmp_path / "a.gif")
    for cut in range(2, len(data), 3):  # the last byte says nothing more than that
        (tmp_path / "a.gif").write_bytes(data[: len(data) - cut])
        assert not gif.is_whole(tmp_path / "a.gif") or data[len(data) - cut - 1] == 0


def test_a_result_is_no_gif_unasked(tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.gif")
    assert saving.suffix_for(opening.open_picture(tmp_path / "a.gif"), (72, 48)) == ".png"
