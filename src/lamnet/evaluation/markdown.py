"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, aligned: bool = False) -> str:
    r"""Make a table whose pipes are escaped; every line ends with a newline.

    Args:
        aligned: pad cells to the width of their column, so that the table is readable as plain text too.

    >>> print(markdown_table(["model", "dB"], [["a|b", "31.65"]], aligned=True), end="")
    | model | dB    |
    | ----- | ----- |
    | a\|b  | 31.65 |
    >>> print(markdown_table(["", ""], [["network", "LAMNet"]]), end="")
    | | |
    |---|---|
    | network | LAMNet |
    """
    cells = [[cell.replace("|", r"\|") for cell in row] for row in (columns, *rows)]
    if not aligned:
        lines = ["".join(f"| {cell} " if cell else "| " for cell in row) + "|\n" for row in cells]
        return "".join([lines[0], "|---" * len(columns) + "|\n", *lines[1:]])
    widths = [max(3, *(len(row[index]) for row in cells)) for index in range(len(columns))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
