"""One step of a training, and what it starts from."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.base import memory
from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.network import weights
from lamnet.network.model import LAMNet
from lamnet.training.distributed import Workers
from lamnet.training.learner import Learner
from support.sets import recipe


def test_a_network_beyond_all_memory_is_refused_at_once() -> None:
    huge = recipe(size="own", network=LAMNetConfig(4, channels=65536, blocks=60000))
    with pytest.raises(
        BadArgumentError, match=r"^network: expected one .* fits into .* GB of free memory, got [\d,]+ para"
    ):
        Learner(huge, Workers(0, 1, torch.device("cpu")))


@pytest.mark.parametrize(
    "change",
    [
        {"batch": 2**31 - 1},
        {"batch": 2**31 - 1, "accumulate": 2**31 - 1},  # whose patches alone are too many
        {"patch": 10**6},
        {"patch": 10**6, "precision": "bfloat16"},
    ],
)
def test_a_step_beyond_all_memory_is_refused_at_once(change: dict[str, object]) -> None:
    with pytest.raises(
        BadArgumentError, match=r"^batch, patch: expected a step that fits into .* GB of free memory, got "
    ):
        Learner(recipe(**change), Workers(0, 1, torch.device("cpu")))


def test_the_least_that_a_step_takes_is_no_more_than_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 patches of 64x64 of tiny x4 take 570 MB on a processor in float32, beside the network."""
    for free, fits in ((300e6, True), (100e6, False)):
        monkeypatch.setattr(memory, "available", lambda free=free: int(free))
        with nullcontext() if fits else pytest.raises(BadArgumentError, match="batch, patch"):
            Learner(recipe(batch=8, patch=64), Workers(0, 1, torch.device("cpu")))
            Learner(recipe(batch=80, patch=64, accumulate=10), Workers(0, 1, torch.device("cpu")))


@pytest.mark.thorough
def test_the_mean_loss_is_of_the_steps_that_it_was_summed_over() -> None:
    torch.manual_seed(3)
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    learner = Learner(recipe(lr=1e-12, warmup=0), Workers(0, 1, torch.device("cpu")))
    for _ in range(3):
        learner.advance(lr, hr, 0.1)
    each = learner.take_loss()
    assert each == pytest.approx(F.l1_loss(learner.network(lr / 255), hr / 255).item(), rel=1e-4)
    for _ in range(2):
        learner.advance(lr, hr, 0.1)
    assert learner.take_loss() == pytest.approx(each, rel=1e-4)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_loss_of_a_state_is_that_of_all_workers(accumulate: int) -> None:
    """Else all of them go on with the part of the first one, which alone saves its state."""

    class BesideOneWithoutErrors(Workers):
        def average(self, tensors: Sequence[Tensor]) -> None:
            for tensor in tensors:
                tensor /= 2

    torch.manual_seed(3)
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    learner = Learner(recipe(accumulate=accumulate), BesideOneWithoutErrors(0, 1, torch.device("cpu")))
    with torch.no_grad():
        own = F.l1_loss(learner.network(lr / 255), hr / 255).item()
    learner.advance(lr, hr, 0.1)
    assert learner.state()["loss"].item() == pytest.approx(own / 2, rel=1e-4)
    assert learner.take_loss() == pytest.approx(own / 2, rel=1e-4)


@pytest.mark.thorough
def test_the_last_part_lowers_the_squared_error_and_still_reports_the_absolute_one() -> None:
    torch.manual_seed(3)
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    for progress, lowered in ((0.49, F.l1_loss), (0.5, F.mse_loss)):
        learner = Learner(recipe(mse_from=0.5), Workers(0, 1, torch.device("cpu")))
        fresh = copy.deepcopy(learner.network)
        gradients: list[torch.Tensor] = []
        learner.network.head.bias.register_hook(gradients.append)
        learner.advance(lr, hr, progress)
        out = fresh(lr / 255)
        lowered(out, hr / 255).backward()
        assert fresh.head.bias.grad is not None
        torch.testing.assert_close(gradients[0], fresh.head.bias.grad, rtol=1e-4, atol=1e-6)
        assert learner.loss.item() == pytest.approx(F.l1_loss(out, hr / 255).item(), rel=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_share_of_the_loss_is_the_psnr_on_y(share: float) -> None:
    torch.manual_seed(3)
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    learner = Learner(recipe(psnr_share=share), Workers(0, 1, torch.device("cpu")))
    fresh = copy.deepcopy(learner.network)
    gradients: list[torch.Tensor] = []
    learner.network.head.bias.register_hook(gradients.append)
    learner.advance(lr, hr, 0.0)
    out = fresh(lr / 255)
    weights_of_y = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601
    ys = [torch.einsum("bchw,c->bhw", image, weights_of_y) for image in (out, hr / 255)]
    psnr = torch.stack([-10 * torch.log10((a - b).square().mean() + 1e-4) for a, b in zip(*ys, strict=True)]).mean()
    ((1 - share) * F.l1_loss(out, hr / 255) - share * 0.025 * math.log(10) / 10 * psnr).backward()
    assert fresh.head.bias.grad is not None
    torch.testing.assert_close(gradients[0], fresh.head.bias.grad, rtol=1e-4, atol=1e-6)
    assert learner.loss.item() == pytest.approx(F.l1_loss(out, hr / 255).item(), rel=1e-5)


def test_a_share_of_patches_are_negatives_the_same_ones_for_any_number_of_workers() -> None:
    lr, hr = (torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    taken: list[list[torch.Tensor]] = []
    for world in (1, 2):
        parts: list[torch.Tensor] = []
        for rank in range(world):
            learner = Learner(recipe(negative=0.5, batch=8), Workers(rank, world, torch.device("cpu")))

            def gradients(x: torch.Tensor, y: torch.Tensor, _: bool, into: list[torch.Tensor] = parts) -> None:
                into.append(torch.cat([x.flatten(1), y.flatten(1)], 1))

            learner.gradients = gradients
            own = slice(8 // world * rank, 8 // world * (rank + 1))
            learner.advance(lr[own], hr[own], 0.0)
        taken.append(parts)
    whole = torch.cat(taken[0])
    torch.testing.assert_close(torch.cat(taken[1]), whole)
    positive = torch.cat([lr.flatten(1), hr.flatten(1)], 1)
    kept, inverted = ((whole == side).all(1) for side in (positive, 255 - positive))
    assert (kept ^ inverted).all()
    assert kept.any()
    assert inverted.any()


@pytest.mark.thorough
def test_a_turn_to_the_squared_error_makes_steps_neither_small_nor_large() -> None:
    """The gradient is then many times smaller, and Adam's memory of a larger one long."""
    torch.manual_seed(3)
    lr, hr = (torch.randint(118, 138, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    learner = Learner(recipe(mse_from=0.5, betas=(0.9, 0.999), lr=1e-3, warmup=0), Workers(0, 1, torch.device("cpu")))

    def step(progress: float) -> float:
        before = learner.network.head.weight.detach().clone()
        learner.advance(lr, hr, progress)
        return (learner.network.head.weight - before).norm().item()

    usual = [step(0.4999) for _ in range(60)][-10:]
    summed = learner.loss.item()
    turned = step(0.5)
    assert learner.loss.item() - summed == pytest.approx(summed / 60, rel=0.5)  # of one step, not of three
    for size in (turned, *(step(0.5) for _ in range(25))):
        assert 0.5 * min(usual) < size < 2 * max(usual)


@pytest.mark.thorough
def test_a_restored_learner_takes_the_same_steps() -> None:
    """Momentum, moving average and step included."""
    torch.manual_seed(3)
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    alone = Workers(0, 1, torch.device("cpu"))
    one, other = Learner(recipe(), alone), Learner(recipe(seed=1), alone)
    one.advance(lr, hr, 0.1)
    one.advance(lr, hr, 0.8)  # lowers the squared error from here on
    other.restore(copy.deepcopy(one.state()))
    for learner in (one, other):
        learner.advance(lr, hr, 0.9)
    assert other.step == 3
    for network in ("network", "average"):
        ours, theirs = one.state()[network], other.state()[network]
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_deeper_network_starts_as_the_same_function_and_learns_in_its_new_group(tmp_path: Path) -> None:
    shallow = LAMNet(LAMNetConfig(4, 16, 1, 2)).eval()
    weights.save(shallow, tmp_path / "shallow.safetensors")
    deeper = recipe(size="own", scale=4, network=LAMNetConfig(4, 16, 2, 2))
    learner = Learner(deeper, Workers(0, 1, torch.device("cpu")), tmp_path / "shallow.safetensors")
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    with torch.no_grad():
        torch.testing.assert_close(learner.network.eval()(lr / 255), shallow(lr / 255), rtol=0, atol=1e-6)
    learner.advance(lr, hr, 0.0)
    assert bool((learner.network.groups[1].scale != 0).all())
