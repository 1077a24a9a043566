"""The Triton kernels against the reference: on the GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lamnet
from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.network import layers
from lamnet.network.model import Block
from lamnet.ops.backend import use_backend
from lamnet.ops.depthwise import depthwise
from lamnet.ops.reference import fsa_reference, fsa_reference_backward

pytest.importorskip("triton", reason="triton is not installed; pip install -e '.[triton]'")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RELATIVE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")


def assert_close(got: Tensor, expected: Tensor) -> None:
    error = (got.double().cpu() - expected.double().cpu()).abs().max()
    assert error <= RELATIVE[got.dtype] * expected.abs().max().clamp(min=1e-3)


def agree(value: Tensor, weight: Tensor, grad_out: Tensor, window: Window, dim: int, logits: bool) -> None:
    """The kernels on tensors as they are, against float64."""
    from lamnet.ops import triton

    gates = weight.double().tanh() if logits else weight.double()
    expected = fsa_reference(value.double(), gates, window, dim)
    grads = list(fsa_reference_backward(grad_out.double(), value.double(), gates, window, dim))
    if logits:
        grads[1] = grads[1] * (1 - gates * gates)
    assert_close(triton.fsa_forward(value, weight, window, dim, logits), expected)
    for got, grad in zip(triton.fsa_backward(grad_out, value, weight, window, dim, logits), grads, strict=True):
        assert_close(got, grad)


@pytest.mark.parametrize("case", ["paper13", "default11", "plain5", "smaller_than_window"])
@pytest.mark.parametrize(("axis", "direction"), [(-1, "horizontal"), (-2, "vertical")])
@pytest.mark.thorough
def test_agrees_with_the_reference_files(shared: Path, case: str, axis: int, direction: str) -> None:
    with np.load(shared / "reference" / "fsa_cases.npz") as file:
        window = Window.from_kernel_map(file[f"{case}/kernel_map"].tolist())
        names = ("value", "weight", "grad_out", "out", "grad_value", "grad_weight")
        value, weight, grad_out, *expected = (
            torch.from_numpy(file[f"{case}/{direction}/{name}"]).to(DEVICE) for name in names
        )
    with use_backend("triton"):
        out = lamnet.fsa(value.requires_grad_(), weight.requires_grad_(), window, axis)
        out.backward(grad_out)
    for got, truth in zip((out, value.grad, weight.grad), expected, strict=True):
        assert got is not None
        assert_close(got.detach(), truth)


@settings(max_examples=10, deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 3)), min_size=1, max_size=4),
    st.sampled_from(list(RELATIVE)),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.sampled_from([(0, 1, 2, 3), (0, 3, 1, 2), (2, 3, 0, 1)]),
)
@pytest.mark.thorough
def test_any_shape_window_type_and_strides(
    shape: tuple[int, int, int],
    heads: int,
    channels: int,
    taps: list[tuple[int, int]],
    dtype: torch.dtype,
    dim: int,
    logits: bool,
    order: tuple[int, ...],
) -> None:
    window = Window(tuple(start for start, _ in taps), tuple(length for _, length in taps))
    generator = torch.Generator().manual_seed(0)

    def tensor(last: int) -> Tensor:
        """(*shape, last) whose dimensions lie in memory in another order, with gaps."""
        full = (*shape, last)
        stored = torch.randn(*(2 * full[d] for d in order), generator=generator).to(DEVICE, dtype)
        inverse = [order.index(d) for d in range(4)]
        return stored.permute(inverse)[tuple(slice(None, None, 2) for _ in full)]

    agree(tensor(heads * channels), tensor(heads * window.taps), tensor(heads * channels), window, dim, logits)


@pytest.mark.thorough
def test_an_image_of_several_tiles_gives_the_same_bits_twice() -> None:
    from lamnet.ops import triton

    generator = torch.Generator().manual_seed(1)
    value, grad_out = (torch.randn(1, 70, 3, 32, generator=generator).to(DEVICE) for _ in range(2))
    weight = torch.randn(1, 70, 3, 52, generator=generator).to(DEVICE)
    agree(value, weight, grad_out, PAPER_WINDOW, 1, True)
    once, again = (triton.fsa_backward(grad_out, value, weight, PAPER_WINDOW, 1, True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_an_empty_batch_comes_back_empty() -> None:
    with use_backend("triton"):
        assert lamnet.fsa(torch.ones(0, 8, 4, 4), torch.ones(0, 26, 4, 4), PAPER_WINDOW, -1).shape == (0, 8, 4, 4)


CONVOLUTIONS = [((2, 5, 7, 8), (1, 23)), ((1, 9, 6, 32), (23, 1)), ((2, 7, 9, 40), (3, 3)), ((1, 30, 33, 12), (5, 3))]


def convolved(shape: tuple[int, ...], kernel: tuple[int, int], dtype: torch.dtype) -> list[Tensor]:
    """Random x, the last half of a wider image, weight and bias, which need gradients."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(*shape[:3], 2 * shape[3], generator=generator).to(DEVICE, dtype)
    weight, bias = (torch.randn(shape[3], *rest, generator=generator).to(DEVICE) for rest in ((1, *kernel), ()))
    return [one.requires_grad_() for one in (wide[..., shape[3] :], weight, bias)]


def plainly(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    padding = weight.shape[2] // 2, weight.shape[3] // 2
    planes = x.double().permute(0, 3, 1, 2)
    return F.conv2d(planes, weight.double(), bias.double(), padding=padding, groups=x.shape[3]).permute(0, 2, 3, 1)


@pytest.mark.parametrize(("shape", "kernel"), CONVOLUTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_depthwise_convolution_and_its_gradients(
    shape: tuple[int, ...], kernel: tuple[int, int], dtype: torch.dtype
) -> None:
    inputs = convolved(shape, kernel, dtype)
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)
    expected = plainly(*inputs)
    truths = torch.autograd.grad(expected, inputs, grad.double())
    with use_backend("triton"):
        out = depthwise(*inputs)
        grads = torch.autograd.grad(out, inputs, grad)
    assert [one.dtype for one in (out, *grads)] == [dtype, dtype, torch.float32, torch.float32]
    for got, truth in zip((out, *grads), (expected, *truths), strict=True):
        assert_close(got.detach(), truth.detach())


@pytest.mark.parametrize(("shape", "kernel"), CONVOLUTIONS[:1])
@pytest.mark.thorough
def test_the_convolution_by_pytorchs_own_checks(shape: tuple[int, ...], kernel: tuple[int, int]) -> None:
    """A compiler believes the strides that an operator says it will return."""
    x, weight, bias = convolved(shape, kernel, torch.float32)
    torch.library.opcheck(torch.ops.lamnet.depthwise.default, (x, weight, bias))
    with torch.no_grad():
        torch.library.opcheck(
            torch.ops.lamnet.depthwise_backward.default, (x.detach().contiguous(), x.detach(), weight.detach())
        )


def test_a_second_derivative_of_the_convolution_goes_through_plain_pytorch() -> None:
    inputs = convolved((1, 4, 5, 3), (3, 3), torch.float32)
    with use_backend("triton"):
        first = torch.autograd.grad(depthwise(*inputs).sin().sum(), inputs, create_graph=True)
        got = torch.autograd.grad(sum(one.square().sum() for one in first), inputs)
    first = torch.autograd.grad(plainly(*inputs).sin().sum(), inputs, create_graph=True)
    for one, truth in zip(got, torch.autograd.grad(sum(one.square().sum() for one in first), inputs), strict=True):
        assert_close(one, truth)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "named"),
    [
        ((4, 5, 6), (6, 1, 3, 3), (6,), "x"),
        ((1, 4, 5, 6), (5, 1, 3, 3), (6,), "weight"),
        ((1, 4, 5, 6), (6, 1, 2, 3), (6,), "weight"),
        ((1, 4, 5, 6), (6, 1, 3, 3), (5,), "bias"),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused(
    x: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...], named: str
) -> None:
    with pytest.raises(BadArgumentError, match=f"^{named}: expected"):
        depthwise(torch.ones(x), torch.ones(weight), torch.ones(bias))


@pytest.mark.thorough
def test_a_compiled_block_on_the_kernels_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    block, x = (
        Block(LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2)).to(DEVICE),
        torch.rand(1, 5, 6, 16, device=DEVICE),
    )
    monkeypatch.setattr(layers, "_is_plain", lambda _: True)  # as the compiler takes it (tools/gpu/ways.py)

    def gradient() -> Tensor:
        block.zero_grad()
        block(x, None)[0].square().mean().backward()
        return torch.cat([one.grad.flatten() for one in block.parameters() if one.grad is not None])

    with use_backend("reference"):
        expected = gradient()
    torch._dynamo.reset()
    with use_backend("triton"):
        block.compile(backend="aot_eager", dynamic=False)
        assert_close(gradient(), expected)


COMPILE = """
import sys, torch, triton
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase

class Compiler(DriverBase):  # no GPU: kernels are compiled for one and not run
    is_active = classmethod(lambda cls: True)
    get_benchmarker = lambda self: None
    map_python_to_cpp_type = lambda self, name: name
    get_active_torch_device = lambda self: torch.device("cpu")
    get_current_target = lambda self: GPUTarget("cuda", int(sys.argv[1]), 32)
    get_current_device = lambda self: 0
    get_current_stream = lambda self, device: 0

triton.runtime.driver.set_active(Compiler())
from lamnet.ops import triton as kernels, triton_depthwise as convolution
from lamnet.core.window import PAPER_WINDOW

class Warm:
    def __init__(self, kernel):
        self.kernel = kernel
    def __getitem__(self, grid):
        return lambda *args, **constants: print(self.kernel.warmup(*args, grid=grid, **constants).asm["ptx"])

kernels._forward_kernel, kernels._backward_kernel = Warm(kernels._forward_kernel), Warm(kernels._backward_kernel)
convolution._convolve_kernel = Warm(convolution._convolve_kernel)
convolution._weight_grad_kernel = Warm(convolution._weight_grad_kernel)
value, weight = torch.zeros(1, 64, 64, 32, dtype=torch.bfloat16), torch.zeros(1, 64, 64, 52, dtype=torch.bfloat16)
kernels.fsa_forward(value, weight, PAPER_WINDOW, 2, True)
kernels.fsa_backward(value, value, weight, PAPER_WINDOW, 1, True)
for shape in ((32, 1, 1, 23), (32, 1, 23, 1), (32, 1, 3, 3)):
    convolution.convolve(value, torch.zeros(shape), torch.zeros(32))
    convolution.weight_grad(value, value, torch.Size(shape))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="triton compiles on Linux")
@pytest.mark.thorough
def test_compiles_for_a_gpu_with_wide_loads_and_no_atomics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes more than the compiler does; this needs no GPU."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", COMPILE, "90"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (
        done.stdout.count("ld.global.v4.b32") >= 23 * 3 + 23 * 2 + 9
    )  # every value and gradient the window covers, 8 at a time
    assert "atom." not in done.stdout
