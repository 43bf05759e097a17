"""Records from a file, for the command line and the screens: read line by line, saved group by group.

A group is one transaction; a group with a refused record is tried record by record, so that good ones get in and every
bad one is listed with its line and field. Whoever calls says how a transaction is run: as whom, and whether it is taken
back afterwards, which tries a file out.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ratoon.platform.errors import BadRequest, Problem, RatoonError, ValidationFailed
from ratoon.platform.records.by_key import resolved
from ratoon.platform.records.service import RecordService

GROUP = 500
"""Records in one transaction."""
Transact = Callable[[Callable[[RecordService], None]], object]
"""Runs work in a transaction of its own."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the file."""

    number: int
    """The line on which it begins, from 1."""
    values: Mapping[str, object] = field(default_factory=dict)
    wrong: Problem | None = None
    """Why it is no record at all."""


@dataclass
class Importing:
    """Saves lines as records of an object and remembers what was refused."""

    transact: Transact
    object: str
    key: str | None = None
    """External id field: records that have its value are changed, the others made."""
    lines: int = 0
    done: int = 0
    refused: list[tuple[int, Problem]] = field(default_factory=list)
    """(line, what is wrong with it)."""

    def take(self, lines: Iterator[Line]) -> bool:
        """Saves the next group of lines; ``False`` when there was none."""
        group = list(islice(lines, GROUP))
        self.lines += len(group)
        good = [line for line in group if line.wrong is None]
        self.refused += [(line.number, line.wrong) for line in group if line.wrong is not None]
        try:
            self._save(good)
            self.done += len(good)
        except RatoonError:
            for line in good:
                self._one(line)
        return bool(group)

    def _one(self, line: Line) -> None:
        try:
            self._save([line])
            self.done += 1
        except ValidationFailed as error:
            self.refused += [(line.number, problem) for problem in error.problems]
        except RatoonError as error:
            named = getattr(error, "field", None)
            self.refused.append((line.number, Problem(error.code, error.message, named, error.params)))

    def _save(self, lines: Sequence[Line]) -> None:
        """One transaction, in which lookups given by another key are found first."""

        def save(records: RecordService) -> None:
            values = resolved(records, self.object, [line.values for line in lines])
            if self.key:
                records.upsert(self.object, self.key, values, acknowledge=True)
            else:
                records.create(self.object, values, acknowledge=True)

        if lines:
            self.transact(save)


def csv_head(reader: Any, name: str) -> list[str]:
    """What the first line names, of a ``csv.reader``. Raises ``BadRequest``; ``name`` is what the file is called."""
    names = [each.strip() for each in next(reader, [])]
    if not any(names):
        raise BadRequest("{file}: the first line names no keys.", file=name)
    twice = sorted({each for each in names if each and names.count(each) > 1})
    if twice:
        raise BadRequest("{file}: the first line names {names} twice.", file=name, names=", ".join(twice))
    return names


def csv_lines(reader: Any, names: Sequence[str]) -> Iterator[Line]:
    """The lines after the first; a column without a name is left out, a blank cell is no value."""
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(
                number, wrong=Problem("bad_request", "This is not CSV: {reason}.", params={"reason": str(error)})
            )
            continue
        if len(row) > len(names):
            counts = {"found": len(row), "names": len(names)}
            message = "There are {found} values; the first line names {names} keys."
            yield Line(number, wrong=Problem("bad_request", message, params=counts))
        elif row:
            blank = [""] * (len(names) - len(row))
            yield Line(number, {name: cell or None for name, cell in zip(names, row + blank, strict=True) if name})
