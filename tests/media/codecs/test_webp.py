"""WebP files: frames, delays, transparency, losslessness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import opening, saving
from support.pictures import doubled, gradient


def test_short_frames_stay_short(upscaler: Upscaler, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(gradient(3), i, 1)) for i in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[5, 10, 20])
    upscaler.file(tmp_path / "a.webp", tmp_path / "b.webp")
    shown = pyvips.Image.new_from_file(str(tmp_path / "b.webp"), n=-1)
    assert shown.get("delay") == [5, 10, 20]
    assert shown.get("n-pages") == 3


def test_an_animation_too_large_for_webp_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    frames = [Image.fromarray(gradient(3, size=(4, 9000)) // (i + 1)) for i in range(2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImageError, match=r"a\.webp: expected a result that WebP holds, got 18000 x 8 pixels"):
        saving.suffix_for(opening.open_picture(tmp_path / "a.webp"), (18000, 8))


def test_frames_that_leave_the_canvas_empty(upscaler: Upscaler, tmp_path: Path) -> None:
    """Solid boxes that move: every frame is opaque in its part, and the picture is transparent all the same."""
    frames = [Image.new("RGBA", (30, 20)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((255, 0, 0, 255), (2 + 6 * number, 4, 12 + 6 * number, 14))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    upscaler.file(tmp_path / "a.gif", tmp_path / "b.webp")
    before, after = Image.open(tmp_path / "a.gif"), Image.open(tmp_path / "b.webp")
    for number in range(3):
        before.seek(number)
        after.seek(number)
        alphas = [np.asarray(picture.convert("RGBA"))[..., 3] for picture in (before, after)]
        np.testing.assert_array_equal(doubled(alphas[0]), alphas[1])


@pytest.mark.parametrize("frames", [1, 3])
def test_a_lossless_webp_stays_so(upscaler: Upscaler, tmp_path: Path, frames: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (frames, 24, 36, 3), np.uint8)
    first, *others = map(Image.fromarray, pixels)
    first.save(tmp_path / "a.webp", lossless=True, **({"save_all": True, "append_images": others} if others else {}))
    upscaler.file(tmp_path / "a.webp", tmp_path / "b.webp")
    out = pyvips.Image.new_from_file(str(tmp_path / "b.webp"), n=-1)
    np.testing.assert_array_equal(out.numpy()[..., :3], doubled(pixels.reshape(-1, 36, 3)))
