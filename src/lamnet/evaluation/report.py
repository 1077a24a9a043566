"""Evaluations in files: JSON, which is read back and checked, and CSV. `ranking` makes tables of them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lamnet.base import records
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.base.files import check_place, naming_errors, read_text, write_text
from lamnet.evaluation.conditions import CLEAN

Evaluation = Mapping[str, Any]

_LISTS = ("images", "left_out")  # beside a set's means
TITLES = {
    "psnr_y": "PSNR-Y",
    "ssim_y": "SSIM-Y",
    "psnr_rgb": "PSNR-RGB",
    "ssim_rgb": "SSIM-RGB",
    "lpips": "LPIPS",
    "dists": "DISTS",
    "seconds": "s/image",
}


def to_json(evaluations: Sequence[Evaluation]) -> str:
    """Write evaluations as JSON: one as an object, several as a list; the infinite PSNR of equal pictures is null."""
    content = evaluations[0] if len(evaluations) == 1 else list(evaluations)
    return json.dumps(records.finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(path: Path) -> list[dict[str, Any]]:
    """Read the evaluations from a file that `to_json` wrote. Raises BadDataError when it holds something else."""
    try:
        content = records.parsed(read_text(path))
        listed = records.items(content if isinstance(content, list) else [content], "evaluations")
        return [_evaluation(one, f"evaluation {number}") for number, one in enumerate(listed, 1)]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadDataError(f"{path}: expected evaluations as --json writes them, found {reason}") from error


def _evaluation(content: Any, what: str) -> dict[str, Any]:
    """Check the parts of an evaluation that are used here; null becomes an infinite PSNR. Raises ValueError."""
    found = dict(records.mapping(content, what))
    records.text(found.get("model"), f"{what}, model")
    records.whole(found.get("scale"), f"{what}, scale", 1, 1000)
    if found.get("params", 0) is not None:
        records.whole(found.get("params"), f"{what}, params", 0)
    if "protocol" in found:
        protocol = records.mapping(found["protocol"], f"{what}, protocol")
        records.text(protocol.get("convention"), f"{what}, convention")
        records.whole(protocol.get("border"), f"{what}, border", 0)
        for origin in ("lr_made", "lr_taken"):
            for name in records.items(protocol.get(origin, []), f"{what}, {origin}"):
                records.text(name, f"{what}, {origin}")
        records.text(protocol.get("degrade", ""), f"{what}, degrade")
    sets = records.mapping(found.get("sets"), f"{what}, sets")
    checked = {
        **found,
        "sets": {records.text(name, what): _scores(one, f"{what}, {name}") for name, one in sets.items()},
    }
    if "unmeasured" in found:
        unmeasured = records.mapping(found["unmeasured"], f"{what}, unmeasured")
        checked["unmeasured"] = {
            records.text(name, what): _reasons(reasons, f"{what}, {name}") for name, reasons in unmeasured.items()
        }
    return checked


def _scores(content: Any, what: str) -> dict[str, Any]:
    """Check the figures of a set and of its images."""
    found = records.mapping(content, what)
    figures: dict[str, Any] = _figures({name: value for name, value in found.items() if name not in _LISTS}, what)
    if not figures.keys() & TITLES.keys():
        raise ValueError(f"{what}: expected some of {', '.join(TITLES)}, found none of them")
    if "images" in found:
        images = records.mapping(found["images"], f"{what}, images")
        figures["images"] = {records.text(name, what): _figures(one, what) for name, one in images.items()}
    if "left_out" in found:
        figures["left_out"] = _reasons(found["left_out"], f"{what}, left_out")
    return figures


def _reasons(content: Any, what: str) -> dict[str, str]:
    """Check why pictures were left out, by name."""
    found = records.mapping(content, what)
    return {records.text(name, what): records.text(why, what) for name, why in found.items()}


def left_out(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return a line for each picture that was not measured, "SET PICTURE: reason"."""
    lines = [
        f"{name} {image}: {reason}"
        for evaluation in evaluations
        for name, reasons in (
            *((name, scores.get("left_out", {})) for name, scores in evaluation["sets"].items()),
            *evaluation.get("unmeasured", {}).items(),
        )
        for image, reason in reasons.items()
    ]
    return list(dict.fromkeys(lines))


def _figures(content: Any, what: str) -> dict[str, float]:
    found = records.mapping(content, what)
    return {
        records.text(name, what): math.inf if value is None else records.number(value, f"{what}, {name}")
        for name, value in found.items()
    }


def to_csv(evaluations: Sequence[Evaluation]) -> str:
    """Write evaluations as CSV: a row per image, one per set with the image "mean"; a column for conditions, if any."""
    names = metrics_of(evaluations)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    conditions = any(map(condition_of, evaluations))
    rows.writerow(["model", "scale", *["degrade"] * conditions, "set", "image", *names])
    for evaluation in evaluations:
        for set_name, scores in evaluation["sets"].items():
            for image, values in [*scores.get("images", {}).items(), ("mean", scores)]:
                found = [values.get(name, "") for name in names]
                about = [condition_of(evaluation) or CLEAN] * conditions
                rows.writerow([evaluation["model"], evaluation["scale"], *about, set_name, image, *found])
    return text.getvalue()


def prepare_place(path: Path) -> None:
    """Make the folders of a file and check, before the work, that `write` can write it. Raises BadArgumentError."""
    with naming_errors(path, "cannot be written", BadArgumentError):
        path.parent.mkdir(parents=True, exist_ok=True)
    check_place(path, BadArgumentError)


def write(path: Path, text: str) -> None:
    """Write a text file atomically, and the folders above it. Raises BadArgumentError where it cannot be written."""
    with naming_errors(path, "cannot be written", BadArgumentError):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text, BadArgumentError)


def metrics_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """List all metrics that occur, in the order of their titles."""
    found = {name for evaluation in evaluations for scores in evaluation["sets"].values() for name in scores}
    return [name for name in TITLES if name in found]


def condition_of(evaluation: Evaluation) -> str:
    """Return the condition of LR, "" where none was recorded."""
    return str(evaluation.get("protocol", {}).get("degrade", ""))
