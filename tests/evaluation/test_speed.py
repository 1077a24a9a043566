"""The benchmark: what it times, how, and what it says of a row that cannot run."""

from __future__ import annotations

import contextlib
import json
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamnet.base.errors import BackendError, BadArgumentError, MissingExtraError
from lamnet.base.progress import finish
from lamnet.core import library
from lamnet.core.config import LAMNetConfig
from lamnet.evaluation.speed import peers, table, work
from lamnet.evaluation.speed.candidate import MODELS, Candidate, Setting, plan
from lamnet.evaluation.speed.measure import Timed, graphed
from lamnet.evaluation.speed.run import Report, Row, peak_of, timing
from lamnet.network import weights
from lamnet.network.complexity import complexity
from lamnet.network.model import LAMNet

CPU = torch.device("cpu")
SMALL = Setting(scale=2, output_size=(32, 48), device="cpu", threads=1)


@pytest.fixture(scope="module")
def report() -> Report:
    """A network, one whose backend cannot run here, one of a precision that nobody has, the operator, a training step."""
    candidates = [
        Candidate("tiny", "reference", "float32"),
        Candidate("tiny", "no-such-backend", "float32"),
        Candidate("fsa-width", "reference", "float32"),
        Candidate("tiny", "reference", "float32", task="training"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for module in ("run", "work"):
            patch.setattr(f"lamnet.evaluation.speed.{module}.PATCHES", (1, 8))
        return finish(timing(candidates, SMALL, rounds=3, memory=False))


def test_what_a_graph_reads_lives_as_long_as_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next capture gives freed memory back to the GPU, and a replay would read what is not there."""
    anything: Any = type("Anything", (), {"__getattr__": lambda self, _: lambda *given: None})
    for name in ("Stream", "current_stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, lambda: anything())
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, lambda _: contextlib.nullcontext())
    read = torch.ones(3)
    seen = weakref.ref(read)
    replay = graphed(lambda read=read: read + 1)  # type: ignore[misc]
    del read
    assert seen() is not None
    del replay
    assert seen() is None


@pytest.mark.thorough
def test_figures_follow_from_the_times_and_the_ceilings(report: Report) -> None:
    network, _, operator, training = report.rows
    assert network.ratio == 1
    for row in (network, operator, training):
        assert row.median_s is not None
        assert row.quartiles_s is not None
        assert row.quartiles_s[0] <= row.median_s <= row.quartiles_s[1]
        assert row.ratio == pytest.approx(network.median_s / row.median_s)
    counted = complexity(LAMNet(LAMNetConfig.tiny(2)), 2, (32, 48))
    assert (network.parameters, network.multiply_adds) == (counted.parameters, counted.multiply_adds)
    assert network.activations == counted.activations
    rate = (report.instructions_per_s or report.multiply_adds_per_s)["float32"]
    assert network.floor_s == pytest.approx(counted.multiply_adds / rate)
    assert training.floor_s == pytest.approx(3 * training.multiply_adds / rate)
    assert operator.floor_s == pytest.approx(32 * 48 * (2 * 32 + 52) * 4 / report.copied_bytes_per_s)


@pytest.mark.thorough
def test_a_row_that_cannot_run_says_why_and_stops_no_other(report: Report) -> None:
    assert [row.problem is None for row in report.rows] == [True, False, True, True]
    assert "no-such-backend" in str(report.rows[1].problem)
    assert report.rows[1].median_s is None
    assert "not run: " in table.to_markdown(report)


@pytest.mark.thorough
@pytest.mark.skipif(library.why_not() is not None, reason="no kernels for this processor")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_multiply_adds_in_registers_are_counted_and_done(precision: str) -> None:
    one, two = (work.instructions(precision, threads) for threads in (1, 2))
    assert two.amount == 2 * one.amount > 1e7
    sums = np.zeros(64, np.float32)
    count = library.library().lamnet_multiply_adds(1000, 0, sums.ctypes.data)
    assert count % 16_000 == 0
    np.testing.assert_allclose(
        sums[:16], count / 16_000 * 2 * np.arange(1, 17)
    )  # each chain x -> x / 2 + n ends at 2 n


def test_text_holds_every_row_and_the_setting(report: Report) -> None:
    lines = [line for line in table.to_markdown(report).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(table.COLUMNS) + 1}
    assert len(lines) == 2 + len(report.rows)
    content = json.loads(table.to_json(report))
    assert content["rows"][0]["median_s"] == report.rows[0].median_s
    assert content["setting"]["output_size"] == [32, 48]
    assert content["machine"]["torch"] == torch.__version__
    assert "x2 to 48x32 (LR 24x16) on cpu, 1 threads" in table.caption(report)


def test_candidates_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def fake(candidate: Candidate, setting: Setting) -> object:
        return lambda: order.append(candidate.backend)

    monkeypatch.setattr("lamnet.evaluation.speed.run.work", fake)
    for name in ("product", "copy"):
        monkeypatch.setattr(f"lamnet.evaluation.speed.run.{name}", lambda *_: Timed(lambda: None, CPU, amount=1))
    found = finish(timing([Candidate("fsa-width", name, "float32") for name in "ab"], SMALL, rounds=2, memory=False))
    assert order == ["a", "a", "b", "b", "a", "b", "a", "b"]  # warmed up each by itself, then round by round
    assert isinstance(found.rows[0], Row)


def test_a_gpu_gets_graphs_compilation_and_channels_last() -> None:
    candidates = plan(MODELS, "cuda")
    ways = {(one.model, one.how) for one in candidates}
    assert {("base", "eager"), ("base", "compile"), ("base", "graph"), ("base", "compile+graph")} <= ways
    assert {("span", "channels-last"), ("swinir-light", "graph"), ("fsa-height", "graph")} <= ways
    assert {one.precision for one in candidates} == {"float32", "bfloat16", "float16"}
    assert {one.backend for one in candidates} == {"triton", "reference", ""}
    assert {one.task for one in plan(["base"], "cuda", training=True)} == {"patches", "training"}


def test_a_processor_gets_the_core_which_does_not_train() -> None:
    assert [one.backend for one in plan(["base"], "cpu")] == ["core", "core", "native", "native", "reference"]
    assert {one.backend for one in plan(["base"], "cpu", training=True)} == {"native", "reference"}


@pytest.mark.skipif(library.why_not() is not None, reason="no kernels for this processor")
def test_the_core_does_the_work_of_the_network(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    network = LAMNet(LAMNetConfig(SMALL.scale, 16, 1, 1)).eval()
    weights.save(network, path)
    found: Any = work.work(Candidate(str(path), "core", "float32"), SMALL)()
    pixels = np.random.default_rng(0).random((16, 24, 3), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_median_and_quartiles() -> None:
    timed = Timed(lambda: None, CPU, amount=6, samples=[5.0, 1.0, 2.0, 3.0, 4.0])
    assert (timed.median, timed.spread, timed.rate, timed.best_rate) == (3.0, (2.0, 4.0), 2.0, 6.0)


@pytest.mark.thorough
def test_peak_memory_is_what_a_call_holds_beyond_its_inputs() -> None:
    one = Candidate("fsa-width", "reference", "float32")
    peak = peak_of(one, replace(SMALL, output_size=(512, 512)))
    result = 512 * 512 * 32 * 4
    assert peak is not None
    assert result <= peak <= 12 * result


def built(name: str, scale: int) -> torch.nn.Module:
    try:
        return peers.build(name, scale)
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_a_peer_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel.architectures.SPAN", None)
    with pytest.raises(MissingExtraError, match=r'span needs spandrel.* pip install "lamnet-sr\[peers\]"'):
        peers.build("span", 4)


@pytest.mark.parametrize(("name", "scale"), [("swinir-light", 4), ("span", 2), ("safmn", 3), ("omni-sr", 4)])
def test_peers_upscale_or_say_what_they_need(name: str, scale: int) -> None:
    network = built(name, scale)
    with torch.no_grad():
        assert network(torch.rand(1, 3, 20, 28)).shape == (1, 3, 20 * scale, 28 * scale)


def test_swinir_light_is_the_size_its_paper_says() -> None:
    network = built("swinir-light", 4)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e3) in range(880, 940)


def test_bad_requests_are_refused_by_name() -> None:
    with pytest.raises(BadArgumentError, match=r"models: expected some of tiny, .* got tinny"):
        plan(["tinny"], "cpu")
    with pytest.raises(BadArgumentError, match="rounds"):
        finish(timing(plan(["tiny"], "cpu"), SMALL, rounds=0))
    with pytest.raises(BadArgumentError, match="peer"):
        peers.build("bicubic", 4)
    with pytest.raises(BackendError, match="triton: it runs on cuda"):
        work.work(Candidate("tiny", "triton", "float32"), SMALL)


@pytest.mark.thorough
def test_a_weights_file_is_timed_as_its_network(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    weights.save(LAMNet(LAMNetConfig(SMALL.scale, 16, 1, 1)), path)
    rows = finish(timing(plan([str(path)], "cpu"), SMALL, rounds=1, memory=False)).rows
    assert {row.candidate.model for row in rows} == {str(path)}
    assert all(row.problem is None or "bfloat16" in row.problem for row in rows)
    weights.save(LAMNet(LAMNetConfig(SMALL.scale + 1, 16, 1, 1)), path)
    rows = finish(timing(plan([str(path)], "cpu"), SMALL, rounds=1, memory=False)).rows
    assert all(f"expected a network for x{SMALL.scale}" in str(row.problem) for row in rows)


@pytest.mark.thorough
def test_the_command_writes_json_and_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lamnet.cli.main import app

    files = [tmp_path / "bench.json", tmp_path / "bench.md"]
    options = f"--output 48 32 --rounds 1 --threads 1 --no-memory --json {files[0]} --markdown {files[1]}"
    app(["bench", "fsa-height", *options.split()], result_action="return_value")
    out = capsys.readouterr().out
    assert "fsa-height" in out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["x4", "ceilings:", "lamnet"]
    assert len(json.loads(files[0].read_text())["rows"]) == 3
    assert "| fsa-height | native | float32 |" in files[1].read_text()


def test_the_command_fails_where_nothing_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lamnet.cli.main import app

    path = tmp_path / "own.safetensors"
    weights.save(LAMNet(LAMNetConfig(SMALL.scale + 1, 16, 1, 1)), path)
    with pytest.raises(SystemExit, match="1"):
        app(
            [
                "bench",
                str(path),
                *["--scale", "2", "--output", "48", "32", "--rounds", "1", "--threads", "1", "--no-memory"],
            ]
        )
    assert "not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "rounds", "name"),
    [
        ({"output_size": (0, 48)}, 1, "output"),
        ({"threads": 0}, 1, "threads"),
        ({"threads": -2}, 1, "threads"),
        ({}, 0, "rounds"),
    ],
)
def test_what_cannot_be_timed_is_refused(change: dict[str, Any], rounds: int, name: str) -> None:
    with pytest.raises(BadArgumentError, match=f"^{name}: expected at least 1, got "):
        finish(timing([Candidate("fsa-width", "reference", "float32")], replace(SMALL, **change), rounds))
    with pytest.raises(BadArgumentError, match=r"^networks: expected something that is timed"):
        finish(timing(plan(["fsa-width"], "cpu", training=True), SMALL, rounds=1))
