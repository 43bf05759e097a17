"""Records from a spreadsheet: a CSV file whose first line names fields by their label or their key.

The whole file is tried out first and taken back; only when nothing in it is refused it is saved, so that nobody has to
find out which half of a file went in. What cells say is read as people write it: options and lookups by what they are
called, yes and no in words. Larger files are for ``ratoon import``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ratoon.platform.errors import BadRequest, Problem
from ratoon.platform.fields.display import yes_no
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.importing import Importing, Line, csv_head, csv_lines
from ratoon.platform.records.service import RecordService
from ratoon.ui import forms
from ratoon.ui.problems import text_of
from ratoon.ui.screen import Screen

MOST = 5000
"""Lines that one page saves."""
SHOWN = 100
"""Refusals that the page lists."""
ENCODINGS = ("utf-8-sig", "gb18030")
"""What a file may be written in; the first that fits."""
AMBIGUOUS = "More than one record is called “{text}”; choose one."
NOBODY = "No record is called “{text}”."


class _TakenBack(Exception):
    """Ends a transaction that was only tried."""


@dataclass
class Columns:
    """What the columns of a file are."""

    keys: list[str] = field(default_factory=list)
    """For each column the key it fills; empty = it is left out."""
    left_out: list[str] = field(default_factory=list)
    """Columns that nobody fills in: computed ones, titles beside ids."""
    unknown: list[str] = field(default_factory=list)
    """Columns that are no field."""


def importing(screen: Screen, object: str) -> ResponseReturnValue:
    """The page: a file goes in, or everything that stands in its way is listed."""
    found = screen.object(object, "create")
    if "template" in request.args:
        return _template(screen, found)
    if request.method != "POST":
        return _page(screen, found)
    try:
        lines, wrong, columns = _read(screen, found)
    except BadRequest as refused:
        return _page(screen, found, refused=refused.text(screen.translate)), 422
    if columns.unknown:
        told = _("These columns are no fields: %(names)s.", names=", ".join(columns.unknown))
        return _page(screen, found, refused=told), 422
    key = request.form.get("key") or None
    tried = Importing(lambda work: _try(screen, work), object, key)
    _take(tried, lines)
    known = {(line, problem.field) for line, problem in wrong}
    tried.refused = [*wrong, *(told for told in tried.refused if (told[0], told[1].field) not in known)]
    tried.done = len(lines) - len({line for line, _problem in tried.refused})
    if tried.refused or request.form.get("do") == "check":
        return _page(screen, found, tried=tried, columns=columns), 422 if tried.refused else 200
    saved = Importing(screen.transact, object, key)
    _take(saved, lines)
    if saved.refused:
        return _page(screen, found, tried=saved, columns=columns, saved=True), 422
    flash(ngettext("%(num)s record was imported.", "%(num)s records were imported.", saved.done), "success")
    return redirect(url_for("screens.records", object=object), 303)


def _take(run: Importing, lines: Sequence[Line]) -> None:
    waiting = iter(lines)
    while run.take(waiting):
        pass


def _try(screen: Screen, work: Callable[[RecordService], None]) -> None:
    def tried(records: RecordService) -> None:
        work(records)
        raise _TakenBack

    with suppress(_TakenBack):
        screen.transact(tried)


def _page(
    screen: Screen,
    object: Object,
    *,
    refused: str = "",
    tried: Importing | None = None,
    columns: Columns | None = None,
    saved: bool = False,
) -> str:
    problems = [] if tried is None else sorted(tried.refused, key=lambda each: each[0])
    shown = [
        {"line": line, "column": _column(screen, object, problem), "text": text_of(screen, object, problem)}
        for line, problem in problems[:SHOWN]
    ]
    editable = screen.policy.editable_keys(screen.actor, object.name)
    keys = [f for f in object.fields.values() if f.external_id and f.name in editable]
    return render_template(
        "import.html", screen=screen, current=object.name, object=object, refused=refused, tried=tried, saved=saved,
        problems=shown, more=max(0, len(problems) - SHOWN), keys=[(f.name, screen.label(f)) for f in keys],
        key=request.form.get("key", ""), left_out=columns.left_out if columns else [], most=MOST,
    )  # fmt: skip


def _column(screen: Screen, object: Object, problem: Problem) -> str:
    if problem.field is None:
        return ""
    return screen.key_label(object, problem.field) if problem.field in object.field_of else problem.field


def _template(screen: Screen, object: Object) -> ResponseReturnValue:
    """An empty file with the columns that the form of a new record has."""
    made = io.StringIO()
    fields = [f for _section, fields in forms.form_fields(screen, object) for f in fields]
    kept = [f for f in fields if f.junction is None and f.type.name not in ("file", "image", "secret")]
    csv.writer(made).writerow([screen.label(f) for f in kept])
    headers = {"Content-Disposition": f'attachment; filename="{object.name}.csv"'}
    return Response("\ufeff" + made.getvalue(), headers=headers, content_type="text/csv; charset=utf-8")


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(screen: Screen, object: Object) -> tuple[list[Line], list[tuple[int, Problem]], Columns]:
    """The lines of the file as records, and what is wrong with cells that name nothing. Raises ``BadRequest``."""
    given = request.files.get("file")
    if given is None or not given.filename:
        raise BadRequest("Choose a file first.", field="file")
    stream = io.StringIO(_text(given.stream.read()), newline="")
    reader = csv.reader(stream)
    names = csv_head(reader, given.filename[:80])
    columns = _columns(screen, object, names)
    lines = [] if columns.unknown else list(csv_lines(reader, columns.keys))
    if len(lines) > MOST:
        raise BadRequest("One page takes at most {most} lines; `ratoon import` takes any number.", most=MOST)
    with screen.read() as records:
        reading = _Cells(screen, records, object)
        return [line if line.wrong else reading.line(line) for line in lines], reading.wrong, columns


def _text(content: bytes) -> str:
    for encoding in ENCODINGS:
        with suppress(UnicodeDecodeError):
            return content.decode(encoding)
    raise BadRequest("This file is no text in UTF-8 or GB18030; save it as “CSV UTF-8”.")


def _columns(screen: Screen, object: Object, names: Iterable[str]) -> Columns:
    editable = screen.policy.editable_keys(screen.actor, object.name)
    readable = screen.readable(object)
    known = {key for key in object.parts if key in editable or key in readable}
    by_name = {screen.key_label(object, key).casefold(): key for key in known} | {key.casefold(): key for key in known}
    found = Columns()
    names = list(names)
    for name in names:
        key = by_name.get(name.casefold(), "")
        lookup = object.fields.get(name.partition(".")[0])
        if not key and lookup is not None and lookup.targets and lookup.name in editable:
            key = name
            if name == f"{lookup.name}.title":
                key = "" if lookup.name in names else lookup.name
        elif not key and name:
            found.unknown.append(name)
            continue
        if key and "." not in key and not forms.is_writable(object.field_of[key], editable):
            key = ""
        if name and not key:
            found.left_out.append(name)
        found.keys.append(key)
    return found


class _Cells:
    """Reads what people write into cells."""

    def __init__(self, screen: Screen, records: RecordService, object: Object) -> None:
        self._screen, self._records, self._object = screen, records, object
        self.wrong: list[tuple[int, Problem]] = []
        """Cells that name nothing, with their lines."""
        self._named: dict[tuple[str, str], str | Problem] = {}
        self._words = {"yes": True, "no": False, "true": True, "false": False}
        self._words |= {yes_no(value, screen.locale).casefold(): value for value in (True, False)}
        self._options = {f.name: self._labels(f) for f in object.fields.values() if f.choices}

    def line(self, line: Line) -> Line:
        """The line with values as the record service takes them. A cell that names nothing is blank in it, so that
        whatever else is wrong with the line is found, too."""
        values: dict[str, Any] = {}
        for key, cell in line.values.items():
            read = self._value(key, cell, line.values)
            if isinstance(read, Problem):
                self.wrong.append((line.number, read))
            values[key] = None if isinstance(read, Problem) else read
        return replace(line, values=values)

    def _labels(self, owner: Field) -> Mapping[str, str]:
        labels = {self._screen.translate(o.label, owner.owner).casefold(): o.value for o in owner.choices}
        return labels | {o.value.casefold(): o.value for o in owner.choices}

    def _value(self, key: str, cell: Any, row: Mapping[str, Any]) -> Any:
        owner = self._object.field_of.get(key)
        if cell is None or owner is None or key != owner.name:
            return cell
        if owner.type.name == "boolean":
            return self._words.get(cell.strip().casefold(), cell)
        if owner.choices and owner.type.name == "multipicklist":
            words = [word.strip() for word in cell.replace("；", ";").split(";")]
            return [self._options[key].get(word.casefold(), word) for word in words if word]
        if owner.choices:
            return self._options[key].get(cell.strip().casefold(), cell)
        if owner.targets and not owner.junction and not _is_id(cell):
            return self._called(owner, cell.strip(), row)
        return cell

    def _called(self, owner: Field, text: str, row: Mapping[str, Any]) -> str | Problem:
        """The id of the one record that is called so."""
        beside = {f"{owner.name}_object": row.get(f"{owner.name}_object")} if len(owner.targets) > 1 else {}
        place = (owner.name, f"{beside}{text}")
        if place not in self._named:
            hits = self._records.lookup(self._object.name, owner.name, text, beside, 10)
            exact = [hit for hit in hits if hit[2].casefold() == text.casefold()]
            told = Problem("lookup_text", AMBIGUOUS if exact else NOBODY, owner.name, {"text": text[:80]})
            self._named[place] = exact[0][1] if len(exact) == 1 else told
        return self._named[place]


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4
