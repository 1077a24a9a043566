"""Model cards: facts, figures, licences."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from lamnet.core import shipped
from lamnet.core.config import LAMNetConfig
from lamnet.network.model import LAMNet
from lamnet.training import card
from lamnet.training.degradation import Degradation
from lamnet.training.prepared import Photo, PreparedSet
from support.sets import recipe


def _card(
    licences: list[str],
    start: str = "scratch",
    own_degradation: Degradation | None = None,
    **evaluation: dict[str, float],
) -> str:
    photos = tuple(Photo(f"{index}.png", 1000, 2000, licence=one) for index, one in enumerate(licences))
    facts = {
        "recipe": asdict(recipe(own_degradation=own_degradation)),
        "steps": 1234,
        "seconds": 600,
        "start": start,
    }
    record = {**facts, "photographs": len(photos), "megapixels": 2 * len(photos), "set": "own"}
    return card.write(
        record,
        PreparedSet(Path("own"), (4,), photos, ()),
        LAMNet(LAMNetConfig.tiny(4)),
        {"sets": evaluation} if evaluation else None,
        workers=2,
    )


def test_facts_figures_and_licences_each_have_a_table() -> None:
    text = _card(
        ["CC0", "CC BY | 4.0", "CC0", ""], Set5={"psnr_y": 31.654, "ssim_y": 0.88}, B100={"psnr_y": 27, "ssim_y": 0.7}
    )
    assert text.startswith("# tiny x4\n\n| | |\n|---|---|\n| network | LAMNet, size tiny, x4, 143,568 parameters |\n")
    for row in (
        "| photographs | 4 (8 megapixels), folder own |",
        "| licences | 2, in the table below |",
        "| degradation | bicubic (MATLAB's imresize, mirrored borders) |",
        "| started from | scratch |",
        "| time | 1,234 steps in 10 minutes |",
    ):
        assert f"{row}\n" in text
    figures = "| set | PSNR-Y, dB | SSIM-Y |\n|---|---|---|\n| Set5 | 31.65 | 0.8800 |\n| B100 | 27.00 | 0.7000 |\n"
    licences = "| licence of the photographs | photographs |\n|---|---|\n| CC0 | 2 |\n| CC BY \\| 4.0 | 1 |\n| not recorded | 1 |\n"
    assert text.endswith(f"\n\n{figures}\n{licences}")


def test_without_licences_and_figures_the_card_says_so() -> None:
    text = _card(["", ""])
    assert "| licences | not recorded |\n" in text
    assert text.count("|---") == 2


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("tiny_x4_photo, which ships", "--from tiny:photo"),
        ("tiny_x2, which ships", "--from tiny"),
        ("my runs/tiny_x4_photo.safetensors", "--from 'my runs/tiny_x4_photo.safetensors'"),
    ],
)
def test_the_command_names_the_weights_that_it_started_from(start: str, words: str) -> None:
    assert f"--data own --out RUN {words}`" in _card([""], start=start)


def test_every_name_that_ships_comes_back_as_the_file_that_it_is() -> None:
    for one in shipped.shipped():
        command = _card([""], start=shipped.called(one.path)).split("--from ")[1].split("`")[0]
        assert shipped.path_of(command, one.scale) == one.path


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Degradation(clean=0, noise=1), "noise, drawn for every patch"),
        (
            Degradation(clean=0.5, compression=1, in_parts=0.1),
            "downscaling in two steps, JPEG and WebP, drawn for every",
        ),
        (Degradation(noise=1), "bicubic (MATLAB's imresize, mirrored borders)"),
        (Degradation(drawn=0.5, compression=1, blur=1), "JPEG and WebP, drawn for every patch"),
    ],
)
def test_the_degradation_is_what_patches_get(how: Degradation, words: str) -> None:
    assert f"| degradation | {words}" in _card([""], own_degradation=how)
