"""The timing: every candidate is warmed up, then timed in turns; its memory is measured separately.

Times are medians over rounds; in a round every row runs once, so that drift hits all alike. The ceilings (a large
matrix product of PyTorch, the processor's own multiply-add in registers at its best, a large copy) are timed in the same rounds.
A row's floor is the time that its multiply-adds take in its precision at the rate of that instruction, on a GPU of the product; for
the operator alone it is the time that its numbers take at the rate of the copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import torch

from lamnet.base.errors import BadArgumentError, LamnetError
from lamnet.base.progress import Progress, Work
from lamnet.core import library
from lamnet.core.config import SIZES
from lamnet.evaluation.machine import machine
from lamnet.evaluation.speed.candidate import OPERATORS, PATCHES, Candidate, Setting
from lamnet.evaluation.speed.measure import Timed, peak_bytes
from lamnet.evaluation.speed.work import copy, instructions, network_of, product, work
from lamnet.network import devices
from lamnet.network.complexity import complexity


@dataclass(frozen=True)
class Row:
    """A candidate's figures; None where they do not apply, or where `problem` says why there are none.

    `ratio` is the first row's median over this one's: how many times as fast it is. `floor_s` is the floor that the
    module's docstring defines.
    """

    candidate: Candidate
    parameters: int | None = None
    multiply_adds: int | None = None
    activations: int | None = None
    median_s: float | None = None
    quartiles_s: tuple[float, float] | None = None
    ratio: float | None = None
    peak_bytes: int | None = None
    floor_s: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Report:
    """The table, with all that it depends on.

    Ceilings, by precision: `multiply_adds_per_s` of a matrix product, `instructions_per_s` the multiply-adds a second of the
    processor's instruction, empty on a GPU and without the kernels; `copied_bytes_per_s`.
    """

    machine: dict[str, str]
    setting: Setting
    rounds: int
    multiply_adds_per_s: dict[str, float]
    instructions_per_s: dict[str, float]
    copied_bytes_per_s: float
    rows: tuple[Row, ...]


def timing(candidates: Sequence[Candidate], setting: Setting, rounds: int = 7, memory: bool = True) -> Work[Report]:
    """Time the candidates in turns, with progress after each sample. One that fails becomes a row with its reason.

    Args:
        memory: measure peak memory too; on a CPU each row then runs once more in a process of its own.

    Raises:
        BackendError: the device cannot be used here.
        BadArgumentError: nothing to time, or fewer than one round, thread or pixel.
    """
    if not candidates:
        raise BadArgumentError(
            "networks: expected something that is timed, which the operators alone are not in training"
        )
    for name, number in (("rounds", rounds), ("threads", setting.threads), ("output", min(setting.output_size))):
        if number < 1:
            raise BadArgumentError(f"{name}: expected at least 1, got {number}")
    device = devices.pick(setting.device)
    torch.set_num_threads(setting.threads)
    works = [_started(candidate, setting, device) for candidate in candidates]
    products = {p: product(p, device) for p in sorted({candidate.precision for candidate in candidates})}
    in_registers = device.type == "cpu" and library.why_not() is None
    registers = {p: instructions(p, setting.threads) for p in products if in_registers}
    copied = copy(device)
    timed = [one for one in works if isinstance(one, Timed)]
    yield from _sampling([copied, *products.values(), *registers.values(), *timed], rounds)
    by_product = {precision: one.rate for precision, one in products.items()}
    by_instruction = {precision: one.best_rate for precision, one in registers.items()}
    fastest = by_instruction or by_product
    rows = [
        Row(one, problem=found) if isinstance(found, str) else _row(one, setting, found, fastest, copied.rate)
        for one, found in zip(candidates, works, strict=True)
    ]
    if memory:
        rows = yield from _measuring_memory(rows, setting)
    return Report(machine(), setting, rounds, by_product, by_instruction, copied.rate, tuple(_compared(rows)))


def _sampling(timed: Sequence[Timed], rounds: int) -> Work[None]:
    """Time everything once a round."""
    for done in range(rounds * len(timed)):
        yield Progress("rounds", done / (rounds * len(timed)))
        timed[done % len(timed)].sample()
    yield Progress("rounds", 1)


def _measuring_memory(rows: Sequence[Row], setting: Setting) -> Work[list[Row]]:
    measured: list[Row] = []
    for row in rows:
        yield Progress("memory", len(measured) / len(rows))
        measured.append(row if row.problem else replace(row, peak_bytes=peak_of(row.candidate, setting)))
    yield Progress("memory", 1)
    return measured


def _compared(rows: Sequence[Row]) -> list[Row]:
    """Add to the rows their speed relative to the first."""
    first = rows[0].median_s
    return [replace(row, ratio=first / row.median_s if first and row.median_s else None) for row in rows]


def _started(candidate: Candidate, setting: Setting, device: torch.device) -> Timed | str:
    """Warm up the work of a candidate, or say why it cannot be done."""
    try:
        timed = Timed(work(candidate, setting), device)
        timed.warm_up()
    except LamnetError as error:
        return str(error)
    except Exception as error:  # a row that fails, of memory or in a compiler, does not stop the others
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    return timed


def _row(candidate: Candidate, setting: Setting, timed: Timed, rates: dict[str, float], copied: float) -> Row:
    row = Row(candidate, median_s=timed.median, quartiles_s=timed.spread)
    if candidate.model in OPERATORS:
        config = SIZES["base"](setting.scale)
        numbers = math.prod(setting.output_size) * (config.channels + config.heads * config.window.taps)
        return replace(row, floor_s=numbers * getattr(torch, candidate.precision).itemsize / copied)
    network = network_of(candidate.model, setting.scale)
    row = replace(row, parameters=sum(parameter.numel() for parameter in network.parameters()))
    images, output_size = 1, setting.output_size
    if candidate.task != "image":
        images, side = PATCHES
        output_size = (setting.scale * side, setting.scale * side)
    try:
        counted = complexity(network, setting.scale, output_size)
    except Exception:  # a peer may not run on shapes alone; its time is valid all the same
        return row
    passes = 3 if candidate.task == "training" else 1  # backward: one product for the input, one for the weights
    multiply_adds, activations = images * counted.multiply_adds, images * counted.activations
    floor = passes * multiply_adds / rates[candidate.precision]
    return replace(row, multiply_adds=multiply_adds, activations=activations, floor_s=floor)


def peak_of(candidate: Candidate, setting: Setting) -> int | None:
    """Measure a candidate's peak memory beyond that of the loaded network; None where it cannot be measured."""
    if "graph" in candidate.how:
        return None  # a graph's memory is taken when it is captured
    if torch.device(setting.device).type == "cuda":
        return _peak_here(candidate, setting)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(_peak_here, candidate, setting).result()
        except (RuntimeError, OSError):  # a process that was killed for its memory
            return None


def _peak_here(candidate: Candidate, setting: Setting) -> int:
    torch.set_num_threads(setting.threads)
    small = replace(setting, output_size=(8 * setting.scale, 8 * setting.scale))
    work(replace(candidate, task="image"), small)()  # libraries get loaded
    return peak_bytes(work(candidate, setting), torch.device(setting.device))
