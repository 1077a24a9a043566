"""`lamnet upscale` with clean and photo weights of small networks: which it takes, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lamnet import LAMNet, LAMNetConfig
from lamnet.media import arrays
from lamnet.network import weights
from support.commands import Command


@pytest.fixture
def ships(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny weights that differ: clean and photo x2, clean x3."""
    folder = tmp_path_factory.mktemp("pretrained")
    monkeypatch.setattr("lamnet.core.shipped._shipped_folder", lambda: folder)
    for seed, name in enumerate(("tiny_x2", "tiny_x2_photo", "tiny_x3")):
        torch.manual_seed(seed)
        weights.save(LAMNet(LAMNetConfig(int(name[6]), 8, 1, 1, heads=2)), folder / f"{name}.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A sharp PNG without noise, and the same as a JPEG."""
    rows, columns = np.mgrid[:40, :50]
    waves = [120 + 50 * np.sin(1.9 * columns + rows * tilt) + 40 * np.sin(0.23 * rows) for tilt in (0.3, 0.5, 0.7)]
    pixels = np.stack(waves, -1)
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "sharp.png")
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "web.jpg", quality=70)
    return tmp_path


def _tiny(lamnet: Command, *arguments: str | Path) -> tuple[int, list[str], list[str]]:
    done = lamnet("upscale", *arguments, "--model", "tiny", "--device", "cpu")
    return done.code, done.out, done.err


@pytest.mark.usefixtures("ships")
def test_a_line_on_stderr_says_which_and_why(lamnet: Command, photos: Path) -> None:
    assert _tiny(lamnet, photos / "sharp.png", photos / "web.jpg", "--scale", "2") == (
        0,
        [str(photos / "sharp_x2.png"), str(photos / "web_x2.jpg")],
        [
            f"{photos}/sharp_x2.png: clean weights: no trace of compression, noise or blur",
            f"{photos}/web_x2.jpg: photo weights: JPEG quality 70",
        ],
    )
    _, lines, _ = _tiny(lamnet, photos / "web.jpg", "--scale", "2", "--dry-run")
    assert lines[0].endswith(", photo weights: JPEG quality 70")


@pytest.mark.usefixtures("ships")
def test_weights_overrule_the_choice(lamnet: Command, photos: Path) -> None:
    results: dict[str, np.ndarray] = {}
    for name in ("auto", "clean", "photo"):
        out = photos / f"{name}.png"
        code, _, err = _tiny(lamnet, photos / "web.jpg", "-o", out, "--scale", "2", "--weights", name)
        assert (code, len(err)) == (0, int(name == "auto"))
        results[name] = arrays.read_array(out)
    assert _tiny(lamnet, photos / "web.jpg", "-o", photos / "one.png", "--scale", "2", "--strength", "1")[0] == 0
    np.testing.assert_array_equal(results["auto"], results["photo"])
    np.testing.assert_array_equal(arrays.read_array(photos / "one.png"), results["photo"])
    assert (results["clean"] != results["photo"]).any()


@pytest.mark.usefixtures("ships")
def test_one_restores_without_enlarging(lamnet: Command, photos: Path) -> None:
    result = str(photos / "web_x1.jpg")
    reduced = (
        f"lamnet: {result}: restored by weights for x2 and reduced again; tiny has weights for x1, measured as better"
    )
    assert _tiny(lamnet, photos / "web.jpg", "--scale", "1") == (0, [result], [reduced])
    assert arrays.read_array(photos / "web_x1.jpg").shape == (40, 50, 3)
    code, _, err = _tiny(lamnet, photos / "web.jpg", "--scale", "1", "--weights", "clean")
    assert code == 1
    assert err == [
        "lamnet: scale: expected more than 1 with clean weights, which take nothing away, got 1; photo weights do"
    ]


@pytest.mark.usefixtures("ships")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--scale", "2", "--strength", "1.5"], "strength: expected a number from 0 (clean) to 1 (photo), got 1.5"),
        (["--scale", "2", "--strength", "0.5", "--weights", "photo"], "strength: expected it without photo weights"),
        (["--scale", "1", "--strength", "0.5"], "strength: expected a scale above 1 with it"),
        (["--scale", "3", "--strength", "0.5"], "scale: expected at most 2 with both weights of this model, got 3"),
        (["--scale", "3", "--weights", "photo"], "scale: expected at most 2 with photo weights of this model, got 3"),
        (["--scale", "0.5"], "scale: expected a factor from 1 to 100, got 0.5"),
    ],
)
def test_mistakes_are_a_line_each(lamnet: Command, photos: Path, arguments: list[str], expected: str) -> None:
    code, out, err = _tiny(lamnet, photos / "web.jpg", *arguments)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"lamnet: {expected}")


@pytest.mark.usefixtures("ships")
def test_auto_takes_clean_weights_where_no_others_ship(lamnet: Command, photos: Path) -> None:
    assert _tiny(lamnet, photos / "web.jpg", "--scale", "3") == (0, [str(photos / "web_x3.jpg")], [])
