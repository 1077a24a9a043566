"""A report on speed as text: the cells of the table on the terminal and in Markdown, and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from lamnet.evaluation.markdown import markdown_table
from lamnet.evaluation.speed.candidate import PATCHES
from lamnet.evaluation.speed.run import Report, Row

COLUMNS = (
    "network",
    "backend",
    "precision",
    "how",
    "task",
    "parameters",
    "multiply-adds",
    "activations",
    "median",
    "quartiles",
    "speed",
    "peak memory",
    "times its floor",
)


def caption(report: Report) -> str:
    """Describe the setting, the ceilings and the machine, a line each."""
    setting = report.setting
    lr_height, lr_width = setting.lr_size
    product, instruction = (
        ", ".join(f"{2 * rate / 1e9:,.0f} GFLOP/s {name}" for name, rate in rates.items())
        for rates in (report.multiply_adds_per_s, report.instructions_per_s)
    )
    own = f"multiply-adds in registers {instruction}; " if instruction else ""
    lines = [
        f"x{setting.scale} to {setting.scale * lr_width}x{setting.scale * lr_height} (LR {lr_width}x{lr_height}) on {setting.device}, {setting.threads} threads, "
        f"median of {report.rounds} rounds in turns; patches: {PATCHES[0]} of {PATCHES[1]}x{PATCHES[1]}; random weights, but those of files",
        f"ceilings: {own}matrix product {product}; copy {report.copied_bytes_per_s / 1e9:,.1f} GB/s",
        "; ".join(f"{name} {value}" for name, value in report.machine.items()),
    ]
    return "\n".join(lines)


def cells(row: Row) -> list[str]:
    """Make the cells of a row, in the order of COLUMNS; a row that failed has its problem instead of a time."""
    one = row.candidate
    low_high = "" if row.quartiles_s is None else " - ".join(_seconds(value) for value in row.quartiles_s)
    far = row.median_s / row.floor_s if row.median_s and row.floor_s else None
    return [
        *(one.model, one.backend or "PyTorch", one.precision, one.how, one.task),
        "" if row.parameters is None else f"{row.parameters:,}",
        "" if row.multiply_adds is None else f"{row.multiply_adds / 1e9:.1f} G",
        "" if row.activations is None else f"{row.activations / 1e6:.1f} M",
        f"not run: {row.problem}" if row.problem else "" if row.median_s is None else _seconds(row.median_s),
        low_high,
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.0f} MB",
        "" if far is None else f"{far:.2f}",
    ]


def to_markdown(report: Report) -> str:
    """Write the caption and the table as Markdown."""
    return f"{caption(report)}\n\n{markdown_table(COLUMNS, [cells(row) for row in report.rows])}"


def to_json(report: Report) -> str:
    """Write the report as JSON; times in seconds, memory in bytes."""
    return json.dumps(asdict(report), indent=1) + "\n"


def _seconds(value: float) -> str:
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if value >= 1e-2 else f"{value * 1e6:,.0f} us"
