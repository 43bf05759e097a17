"""Where an error is, for eyes: the line with a caret below the place."""

from __future__ import annotations

import unicodedata

from ratoon.platform.errors import FormulaError

AROUND = 60
"""Characters shown on either side of the place in a long line."""


def point(source: str, position: int) -> str:
    """The line of ``position`` (0-based offset) and a caret below that place."""
    position = max(0, min(position, len(source)))
    start = source.rfind("\n", 0, position) + 1
    end = source.find("\n", position)
    line = source[start : end if end >= 0 else len(source)].replace("\t", " ")
    before = line[: position - start]
    if len(line) > 2 * AROUND:
        cut = max(0, len(before) - AROUND)
        line = (
            ("…" if cut else "") + line[cut : len(before) + AROUND] + ("…" if len(line) > len(before) + AROUND else "")
        )
        before = ("…" if cut else "") + before[cut:]
    indent = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in before)
    return f"{line}\n{' ' * indent}^"


def describe(source: str, error: FormulaError) -> str:
    """The message of an error and, when it has a place, the line with a caret and the line and column numbers."""
    if error.position is None:
        return str(error)
    before = source[: error.position]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{error} (line {line}, column {column})\n{point(source, error.position)}"
