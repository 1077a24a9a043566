"""Evaluations side by side in Markdown: which model is best on which set, and which figures cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

from lamnet.base.errors import BadArgumentError
from lamnet.evaluation.conditions import CLEAN
from lamnet.evaluation.markdown import markdown_table
from lamnet.evaluation.report import TITLES, Evaluation, condition_of, metrics_of

_DECIMALS = {"psnr_y": 2, "psnr_rgb": 2}
_LESS_IS_BETTER = ("lpips", "dists", "seconds")


def to_markdown(evaluations: Sequence[Evaluation]) -> str:
    """Write evaluations as tables, one for each scale: a row a model, a column a set.

    Of several rows the best is bold, the second best underlined; a mean over other pictures than those of most is not
    ranked, and says so. Under several conditions a row is a model under one of
    them, and each condition has its best ones.

    Raises BadArgumentError when figures of one scale were not measured in the same way.
    """
    scales = sorted({int(evaluation["scale"]) for evaluation in evaluations})
    return "\n".join(_table([e for e in evaluations if e["scale"] == scale]) for scale in scales)


def _by_condition(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Group evaluations by the condition of LR, in order; those of a group are compared."""
    groups = dict[str, list[Evaluation]]()
    for evaluation in evaluations:
        groups.setdefault(condition_of(evaluation) or CLEAN, []).append(evaluation)
    return groups


def _shares(evaluations: Sequence[Evaluation], one: str) -> list[str]:
    """Say for each evaluation of which pictures its mean is, where they are not those of most: "1 of 2", "2 other".

    They are "" for the others, and where the pictures are not recorded; means over other pictures cannot be ranked.
    """
    pictures = [frozenset(evaluation["sets"].get(one, {}).get("images", ())) for evaluation in evaluations]
    most = max(pictures, key=len, default=frozenset[str]())
    return [
        "" if not own or own == most else f"{len(own)} of {len(most)}" if own < most else f"{len(own)} other"
        for own in pictures
    ]


def _origins(evaluations: Sequence[Evaluation], one: str) -> list[str]:
    """Say for each evaluation what LR of a set it was measured on, where that is not of the first one's kind; "" for the others.

    Figures on other LR cannot be ranked. Rows from papers do not record it.
    """
    found: list[str] = []
    for evaluation in evaluations:
        protocol = evaluation.get("protocol")
        if protocol is None or one not in evaluation["sets"]:
            found.append("")
        elif one in protocol.get("lr_taken", ()):
            found.append("LR of other files")
        else:
            found.append("LR by bicubic" if one in protocol.get("lr_made", ()) else "LR of the set")
    first = next(filter(None, found), "")
    return ["" if origin == first else origin for origin in found]


def _table(evaluations: Sequence[Evaluation]) -> str:
    names = metrics_of(evaluations)
    sets = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation["sets"]))
    shown = any(map(condition_of, evaluations))
    rows: list[list[str]] = []
    for condition, alike in _by_condition(evaluations).items():
        cells = {one: _columns(alike, one, names) for one in sets}
        for index, evaluation in enumerate(alike):
            params = "" if evaluation["params"] is None else f"{evaluation['params']:,}"
            about = [condition] * shown
            rows.append([str(evaluation["model"]), params, *about, *(cells[one][index] for one in sets)])
    caption = f"x{evaluations[0]['scale']}: {' / '.join(TITLES[name] for name in names)}{_protocol(evaluations)}"
    columns = ["model", "parameters", *["LR"] * shown, *sets]
    return f"{caption}\n\n{markdown_table(columns, rows, aligned=True)}"


def _columns(evaluations: Sequence[Evaluation], one: str, names: Sequence[str]) -> list[str]:
    """Make the cells of a set, "30.40 / 0.8689" with best and second best marked; "30.40 / 0.8689 (1 of 2)" is not ranked."""
    both = zip(_shares(evaluations, one), _origins(evaluations, one), strict=True)
    shares = [", ".join(filter(None, about)) for about in both]
    alone = shares.count("") == 1
    columns: list[list[str]] = []
    for name in names:
        values = [evaluation["sets"].get(one, {}).get(name) for evaluation in evaluations]
        shown = ["-" if value is None else f"{value:.{_DECIMALS.get(name, 4)}f}" for value in values]
        plain = [alone or share != "" or text == "-" for text, share in zip(shown, shares, strict=True)]
        ranked = sorted(
            {float(text) for text, unranked in zip(shown, plain, strict=True) if not unranked},
            reverse=name not in _LESS_IS_BETTER,
        )
        columns.append(
            [
                text if unranked else _marked(text, ranked.index(float(text)))
                for text, unranked in zip(shown, plain, strict=True)
            ]
        )
    cells = [" / ".join(figures) for figures in zip(*columns, strict=True)]
    return [f"{cell} ({share})" if share else cell for cell, share in zip(cells, shares, strict=True)]


def _marked(text: str, rank: int) -> str:
    """Mark the best figure (rank 0) bold, the second underlined."""
    return (f"**{text}**", f"<u>{text}</u>", text)[min(rank, 2)]


def _protocol(evaluations: Sequence[Evaluation]) -> str:
    """Describe how the figures were measured, for the caption; rows from papers do not record it."""
    known = [(e["model"], e["protocol"]["convention"], e["protocol"]["border"]) for e in evaluations if "protocol" in e]
    if not known:
        return ""
    first, convention, border = known[0]
    for other, *protocol in known:
        if protocol != [convention, border]:
            raise BadArgumentError(
                f"{other}: expected figures measured like {first}'s ({convention}, border {border}), found {protocol[0]}, border {protocol[1]}"
            )
    note = "".join(
        f", LR of {', '.join(names)} {how}"
        for origin, how in (("lr_made", "made by bicubic"), ("lr_taken", "taken from other files"))
        if (names := [name for name in lr_sets(evaluations, origin) if not _is_mixed(evaluations, name)])
    )
    return f", {convention} convention, border {border}{note}{_measured(evaluations)}"


def lr_sets(evaluations: Sequence[Evaluation], origin: str) -> list[str]:
    """Name the sets whose LR was made from HR ("lr_made"), or taken from files that differ from that ("lr_taken")."""
    return sorted({one for e in evaluations for one in e.get("protocol", {}).get(origin, ())})


def _is_mixed(evaluations: Sequence[Evaluation], one: str) -> bool:
    return any(any(_origins(alike, one)) for alike in _by_condition(evaluations).values())


def _measured(evaluations: Sequence[Evaluation]) -> str:
    """Describe of which sets pictures were left out, for the caption: ", 4 of 5 pictures of Set5".

    Where rows of a set are of other pictures than most: ", tiny not ranked on Set5 with 3 of 4 pictures"; of other LR than the
    first: ", tiny not ranked on Set5 with LR by bicubic".
    """
    found = dict[str, None]()
    for alike in _by_condition(evaluations).values():
        for name in dict.fromkeys(name for evaluation in alike for name in evaluation["sets"]):
            for evaluation, share in zip(alike, _shares(alike, name), strict=True):
                scores = evaluation["sets"].get(name, {})
                count = len(scores.get("images", ()))
                if share:
                    found[f", {evaluation['model']} not ranked on {name} with {share} pictures"] = None
                elif left_out := scores.get("left_out"):
                    found[f", {count} of {count + len(left_out)} pictures of {name}"] = None
            for evaluation, origin in zip(alike, _origins(alike, name), strict=True):
                if origin:
                    found[f", {evaluation['model']} not ranked on {name} with {origin}"] = None
        unmeasured = [pair for evaluation in alike for pair in evaluation.get("unmeasured", {}).items()]
        found |= {f", 0 of {len(reasons)} pictures of {name}": None for name, reasons in unmeasured}
    return "".join(found)
