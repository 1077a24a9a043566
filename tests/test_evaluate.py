from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.evaluate import Protocol, evaluate
from lamnet.metrics import Convention

# Bicubic: PSNR-Y / SSIM-Y at x2, x3, x4, computed independently of this project.
FIGURES = {
    ("Set5", "float"): [(33.674, 0.9303), (30.405, 0.8689), (28.430, 0.8111)],
    ("Set5", "matlab"): [(33.640, 0.9292), (30.386, 0.8678), (28.418, 0.8101)],
    ("Set14", "float"): [(30.326, 0.8699), (27.634, 0.7759), (26.091, 0.7048)],
    ("Set14", "matlab"): [(30.220, 0.8683), (27.533, 0.7737), (25.993, 0.7023)],
    ("B100", "float"): [(29.561, 0.8434), (27.210, 0.7391), (25.962, 0.6681)],
    ("B100", "matlab"): [(29.548, 0.8425), (27.202, 0.7382), (25.957, 0.6672)],
}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "convention"), FIGURES)
def test_bicubic_gives_the_known_figures(shared: Path, name: str, convention: Convention, scale: int) -> None:
    result = evaluate("bicubic", scale, shared / "data" / "benchmarks", [name], Protocol(convention))
    psnr_y, ssim_y = FIGURES[name, convention][scale - 2]
    assert result["sets"][name]["psnr_y"] == pytest.approx(psnr_y, abs=0.005)
    assert result["sets"][name]["ssim_y"] == pytest.approx(ssim_y, abs=0.0002)
