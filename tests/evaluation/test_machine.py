"""The facts of a machine, and the backends that run on it."""

from __future__ import annotations

import os
from importlib.metadata import version

import pytest
import torch

from lamnet.core import library
from lamnet.evaluation import machine
from lamnet.network import runtime
from lamnet.ops.backend import BACKENDS, backends


def test_every_backend_is_listed_with_the_reason_it_cannot_run() -> None:
    found = {(backend, device): reason for backend, device, reason in backends()}
    assert {backend for backend, _ in found} == set(BACKENDS)
    assert found["reference", "cpu"] is None
    assert "it runs on cuda" in str(found["triton", "cpu"])
    if not torch.cuda.is_available():
        assert found["triton", "cuda"] == "no CUDA device"


def test_the_machine_names_versions_threads_and_processor() -> None:
    facts = machine.machine()
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == str(library.default_threads())
    assert facts["processor"].endswith(library.level())
    assert "logical cores" in facts["processor"]


def test_a_machine_without_the_core_is_described_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where lamnet runs from its sources on a GPU."""
    reason = "core: expected its library, found none"
    monkeypatch.setattr(library, "why_not", lambda: reason)
    monkeypatch.setattr(library, "level", lambda: pytest.fail("asked for the level of what is not there"))
    assert machine.machine()["processor"].endswith(reason)


def test_each_fact_is_one_line_of_text() -> None:
    facts = machine.machine()
    assert facts["lamnet"] == version("lamnet-sr")
    assert f"{os.cpu_count()} logical cores" in facts["processor"]
    assert all(value == " ".join(value.split()) for value in facts.values())


def test_a_machine_without_a_gpu_has_the_core_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "has_gpu", lambda: False)
    assert machine.backends() == [("native", "cpu", library.why_not())]
    assert not {"cuda", "networks on"} & machine.machine().keys()


def test_a_gpu_without_pytorch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "has_gpu", lambda: True)
    monkeypatch.setattr(runtime, "has_torch", lambda: False)
    facts = machine.machine()
    assert facts["cuda"] == "PyTorch is not installed"
    assert "lamnet-sr[torch]" in facts["networks on"]
    assert [backend for backend, *_ in machine.backends()] == ["native"]
