"""Model cards: facts, figures, licences."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lamnet.core.config import LAMNetConfig
from lamnet.network.model import LAMNet
from lamnet.training import card
from lamnet.training.prepared import Photo, PreparedSet
from support.sets import recipe


def _card(licences: list[str], **evaluation: dict[str, float]) -> str:
    photos = tuple(Photo(f"{index}.png", 1000, 2000, licence=one) for index, one in enumerate(licences))
    facts = {"recipe": asdict(recipe()), "steps": 1234, "seconds": 600, "start": "scratch"}
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
    licences = "| licence of the photographs | photographs |\n|---|---|\n| CC0 | 2 |\n| CC BY \\| 4.0 | 1 |\n"
    assert text.endswith(f"\n\n{figures}\n{licences}")


def test_without_licences_and_figures_the_card_says_so() -> None:
    text = _card(["", ""])
    assert "| licences | not recorded |\n" in text
    assert text.count("|---") == 2
