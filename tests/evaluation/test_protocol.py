from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from lamnet.base.errors import BackendError, BadArgumentError, MissingExtraError
from lamnet.evaluation.metrics import psnr, ssim, to_y
from lamnet.evaluation.protocol import Meter, Protocol

RNG = np.random.default_rng(0)
HR = RNG.integers(0, 256, (24, 30, 3)).astype(np.uint8)
SR = (HR.astype(int) + RNG.integers(-9, 10, HR.shape)).clip(0, 255).astype(np.uint8)


def test_metrics_come_in_the_order_asked_for_inside_the_border() -> None:
    meter = Meter(Protocol(("ssim_rgb", "psnr_y", "psnr_rgb", "ssim_y"), border=3), scale=2)
    scores = meter.scores(HR, SR)
    inside = np.s_[3:-3, 3:-3]
    assert list(scores) == ["ssim_rgb", "psnr_y", "psnr_rgb", "ssim_y"]
    assert scores["psnr_y"] == pytest.approx(psnr(to_y(HR)[inside], to_y(SR)[inside]))
    assert scores["ssim_y"] == pytest.approx(ssim(to_y(HR)[inside], to_y(SR)[inside]))
    assert scores["psnr_rgb"] == pytest.approx(psnr(HR[inside], SR[inside]))
    assert scores["ssim_rgb"] == pytest.approx(ssim(HR[inside], SR[inside]))


def test_the_border_is_the_scale_unless_given() -> None:
    assert Protocol().border_at(3) == 3
    assert Protocol(border=0).border_at(3) == 0
    assert Meter(Protocol(), 4).scores(HR, SR) == Meter(Protocol(border=4), 2).scores(HR, SR)


def test_grey_hr_is_measured_as_rgb_or_on_its_own_values() -> None:
    hr, sr = HR[..., :1], SR[..., :1]
    as_rgb = sr.repeat(3, 2)
    assert Meter(Protocol(), 2).scores(hr, as_rgb) == pytest.approx(Meter(Protocol(), 2).scores(hr, sr))
    matlab = Meter(Protocol(convention="matlab", border=0), 2)
    assert matlab.scores(hr, sr)["psnr_y"] == pytest.approx(psnr(hr, sr))
    assert matlab.scores(hr, as_rgb) == matlab.scores(hr, sr)
    assert Meter(Protocol(border=0), 2).scores(hr, sr)["psnr_y"] > psnr(hr, sr) + 1


def test_grey_results_for_colour_hr_count_as_rgb() -> None:
    for convention in ("float", "matlab"):
        meter = Meter(Protocol(("psnr_y", "psnr_rgb"), convention), 2)
        assert meter.scores(HR, SR[..., :1]) == meter.scores(HR, SR[..., :1].repeat(3, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("psnr",)}, "metrics: expected some of psnr_y, .* got psnr"),
        ({"metrics": ()}, "metrics: expected some of"),
        ({"convention": "octave"}, 'convention: expected "float" or "matlab"'),
        ({"border": -1}, "border: expected at least 0, got -1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(BadArgumentError, match=message):
        Protocol(**options)  # type: ignore[arg-type]


def install_pyiqa(monkeypatch: pytest.MonkeyPatch, create: Callable[..., object]) -> None:
    module = ModuleType("pyiqa")
    module.create_metric = create  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", module)


def test_perceptual_metrics_get_whole_rgb_pictures_in_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def create(name: str, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
        asked.append(name)
        return lambda sr, hr: (sr - hr).abs().mean() if sr.shape == (1, 3, 24, 30) else torch.tensor(torch.nan)

    install_pyiqa(monkeypatch, create)
    meter = Meter(Protocol(("lpips", "psnr_y", "dists")), 2, "cpu")
    assert asked == ["lpips", "dists"]
    expected = np.abs(SR / 255 - HR / 255).mean()
    assert meter.scores(HR, SR)["lpips"] == pytest.approx(expected, rel=1e-5)
    grey = Meter(Protocol(("dists",)), 2, "cpu").scores(HR[..., :1], SR[..., :1])
    assert grey["dists"] == pytest.approx(np.abs(SR[..., 0] / 255 - HR[..., 0] / 255).mean(), rel=1e-5)


def test_without_pyiqa_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(MissingExtraError, match=r'lpips needs pyiqa.*pip install "lamnet-sr\[perceptual\]"'):
        Meter(Protocol(("lpips",)), 2)


def test_a_metric_whose_weights_cannot_be_fetched_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str, device: torch.device) -> object:
        raise OSError("no network")

    install_pyiqa(monkeypatch, create)
    with pytest.raises(BackendError, match="metrics: dists cannot run here, pyiqa says no network"):
        Meter(Protocol(("dists",)), 2)
