"""Upscaler and `lamnet upscale`: arrays, files, what is refused. Networks have random weights: the plumbing is tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lamnet import LAMNet, Upscaler
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.core.config import EDGE
from lamnet.media import arrays
from lamnet.upscale.goal import Goal


def test_rgb_is_the_network_rounded(network: LAMNet, pixels: np.ndarray) -> None:
    with torch.no_grad():
        edged = np.pad(pixels, ((EDGE, EDGE), (EDGE, EDGE), (0, 0)), "edge")
        out = network(torch.from_numpy(edged).permute(2, 0, 1)[None] / 255)[0].clamp(0, 1).permute(1, 2, 0)
        cut = EDGE * network.config.scale
        out = out[cut:-cut, cut:-cut]
    expected = np.floor(out.numpy() * 255 + 0.5)
    got = Upscaler(network, "cpu")(pixels)
    assert got.dtype == np.uint8
    assert np.abs(got - expected).max() <= 1
    assert (got != expected).mean() < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [None, 1, 2, 3, 4])
def test_shape_and_dtype_stay(network: LAMNet, dtype: type, bands: int | None) -> None:
    array = np.zeros((9, 7) if bands is None else (9, 7, bands), dtype)
    out = Upscaler(network, "cpu")(array)
    assert out.dtype == dtype
    assert out.shape == (18, 14, *array.shape[2:])


def test_grey_is_the_mean_of_the_same_picture_in_rgb(network: LAMNet, pixels: np.ndarray) -> None:
    grey = pixels[..., :1].astype(np.float32) / 255
    upscaler = Upscaler(network, "cpu")
    np.testing.assert_allclose(upscaler(grey)[..., 0], upscaler(grey.repeat(3, 2)).mean(2), atol=1e-6)


@pytest.mark.parametrize("kind", [">f4", ">u2"])
def test_the_other_byte_order(network: LAMNet, pixels: np.ndarray, kind: str) -> None:
    array = (pixels / 255).astype(kind) if kind == ">f4" else pixels.astype(kind)
    native = array.astype(array.dtype.newbyteorder("="))
    np.testing.assert_array_equal(Upscaler(network, "cpu")(array), Upscaler(network, "cpu")(native))


@pytest.mark.parametrize("view", ["flipped", "columns", "every second", "read-only"])
def test_views_come_out_as_their_copies(network: LAMNet, pixels: np.ndarray, view: str) -> None:
    array = {
        "flipped": pixels[::-1, :, ::-1],
        "columns": np.asfortranarray(pixels),
        "every second": pixels[::2, ::3],
        "read-only": pixels.copy(),
    }[view]
    array.flags.writeable = False
    np.testing.assert_array_equal(Upscaler(network, "cpu")(array), Upscaler(network, "cpu")(array.copy()))


def test_one_network_in_two_precisions(network: LAMNet, pixels: np.ndarray) -> None:
    before = Upscaler(network, "cpu")
    expected = before(pixels)
    Upscaler(network, "cpu", precision="float16")(pixels)
    np.testing.assert_array_equal(before(pixels), expected)
    np.testing.assert_array_equal(Upscaler(network, "cpu")(pixels), expected)


def test_a_png_file_holds_what_the_array_gives(network: LAMNet, pixels: np.ndarray, tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", pixels)
    upscaler = Upscaler(network, "cpu")
    upscaler.file(tmp_path / "a.png", tmp_path / "b.png")
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "b.png"), upscaler(pixels))


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_a_single_pixel_is_a_picture(network: LAMNet, tmp_path: Path, bands: int) -> None:
    arrays.write_array(tmp_path / "a.png", np.full((1, 1, bands), 99, np.uint8))
    Upscaler(network, "cpu").file(tmp_path / "a.png", tmp_path / "b.png")
    assert arrays.read_array(tmp_path / "b.png").shape == (2, 2, bands)
    assert Upscaler(network, "cpu", goal=Goal(1))(np.full((1, 1, bands), 99, np.uint8)).shape == (1, 1, bands)


def test_a_scale_in_place_of_the_device_is_refused() -> None:
    with pytest.raises(BadArgumentError, match=r'device: expected a name such as "cpu", got 2; .*scale=2$'):
        Upscaler("tiny", 2)  # pyright: ignore[reportArgumentType]


def test_a_file_gives_back_what_its_result_does_not_hold(network: LAMNet, pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.jpg", comment=b"a comment")
    upscaler = Upscaler(network, "cpu")
    assert upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg") == ()
    assert upscaler.file(tmp_path / "a.jpg", tmp_path / "b.webp") == ("without its comment, which .webp does not hold",)


def test_a_truncated_file_leaves_nothing_behind(network: LAMNet, pixels: np.ndarray, tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.jpg", pixels)
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadImageError, match=r"a\.jpg"):
        Upscaler(network, "cpu").file(tmp_path / "a.jpg", tmp_path / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_the_source_is_not_replaced(network: LAMNet, pixels: np.ndarray, tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", pixels)
    before = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    for name in ("a.png", "b.png"):
        with pytest.raises(BadImageError, match="expected another name for the result than its source's"):
            Upscaler(network, "cpu").file(tmp_path / "a.png", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_reader_says_so(pixels: np.ndarray, tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", pixels)
    program = (
        "import os, sys; from pathlib import Path; from lamnet.media import arrays; from lamnet.base.errors import BadArgumentError, BadImageError\n"
        "path = Path(sys.argv[1]); arrays.read_array(path)\n"
        "if os.fork(): sys.exit(os.waitpid(-1, 0)[1])\n"
        "try: arrays.read_array(path)\n"
        "except BadImageError as error: print(error)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "a.png")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.endswith("a.png: expected a spawned process, found one forked from one that has read pictures\n")


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("call", ["up(a, size=(20, 20))", "up(a.astype('uint16'))", "up(a / np.float32(255))"])
def test_a_forked_upscaler_of_arrays_says_so(call: str) -> None:
    """A forked process refuses libvips once its parent has used it; work without libvips goes on."""
    program = (
        "import os, sys, numpy as np, torch; from lamnet import BadImageError, LAMNet, LAMNetConfig, Upscaler\n"
        "torch.set_num_threads(1); up = Upscaler(LAMNet(LAMNetConfig(2, 16, 1, 1, 2)), 'cpu')\n"
        f"a = np.full((16, 16, 3), 9, 'uint8'); {call}\n"
        "if os.fork(): sys.exit(os.waitpid(-1, 0)[1])\n"
        f"up(a)\ntry: {call}\n"
        "except BadImageError as error: print(error)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.endswith("expected a spawned process, found one forked from one that has read pictures\n")


@pytest.mark.thorough
@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("outlier", [70.0, 1e6, -300.0])
def test_an_outlier_leaves_the_other_pixels_alone(network: LAMNet, bands: int, outlier: float) -> None:
    pixels = np.random.default_rng(0).random((40, 50, bands), np.float32)
    pixels[..., 3:] = 1
    expected = Upscaler(network, "cpu")(pixels)
    spoilt = pixels.copy()
    spoilt[3, 4, 0] = outlier
    for tile in (None, 16):
        out = Upscaler(network, "cpu", tile=tile)(spoilt)
        inner = (slice(40, None), slice(40, None))
        np.testing.assert_allclose(out[inner], np.clip(expected, 0, 1)[inner], atol=0.02)
        assert abs(out[6:8, 8:10, 0].mean() / outlier - 0.5625) < 0.05  # bilinear


def test_bits_that_are_not_used_cost_no_precision(network: LAMNet) -> None:
    pixels = np.random.default_rng(0).random((20, 30, 3), np.float32)
    expected = Upscaler(network, "cpu")(pixels)
    for most in (255, 1023, 65535):
        out = Upscaler(network, "cpu")((pixels * most).round().astype(np.uint16))
        np.testing.assert_allclose(out, np.clip(expected, 0, 1) * most, atol=1 + most / 400)
    fixed = Upscaler(network, "cpu")((pixels * 1023).round().astype(np.uint16), white=65535)
    assert not np.array_equal(fixed, out)


def test_numbers_of_numpy_are_numbers(network: LAMNet) -> None:
    assert str(Upscaler(network, torch.device("cpu"), tile=np.int64(64)).plan(500, 500)) == str(
        Upscaler(network, "cpu", tile=64).plan(500, 500)
    )
