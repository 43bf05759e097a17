"""``ratoon import OBJECT FILE``: records from CSV or JSON lines, through the same door as everything else.

The first line of a CSV file names the keys; a JSON-lines file has one record per line. ``--key`` names an external
id: records that have it are changed, others made. A lookup may be given by an external id or unique field of the
record it points to, as ``account.external_ref``. Records go in groups, each one transaction; a group with a refused
record is tried record by record, so that good ones get in and every bad one is listed with its line and field. A
second run with ``--key`` repeats nothing.
"""

from __future__ import annotations

import codecs
import csv
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from ratoon.platform.errors import BadRequest, RatoonError, ValidationFailed

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

GROUP = 500
CHUNK = 1 << 20
"""Bytes that are decoded at a time while the file's encoding is checked."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the file."""

    number: int
    """The line on which it begins, from 1."""
    values: Mapping[str, Any] = field(default_factory=dict)
    wrong: str = ""
    """Why it is no record at all; empty when it is one."""


def _known_encoding(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return "utf-8-sig" if codecs.lookup(value).name == "utf-8" else value
    except LookupError:
        raise click.BadParameter(f"there is no encoding {value}; gb18030, big5, cp1252, utf-16 … are some") from None


@click.command("import")
@click.argument("object")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="External id field: change records that have it, make the others.")
@click.option("--as", "email", help="E-mail of the user on whose behalf (default: the platform).")
@click.option(
    "--encoding", default="utf-8", show_default=True, callback=_known_encoding, help="Of FILE: gb18030, big5 …"
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(object: str, file: Path, key: str | None, email: str | None, encoding: str, as_json: bool) -> None:
    """Import records of OBJECT from FILE (.csv, .jsonl).

    A column like account.external_ref finds the account by that external id or unique field.
    """
    from ratoon.platform.access.accounts import Accounts
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.app import open_environment
    from ratoon.platform.config import Settings

    _decodable(file, encoding)
    lines = _csv(file, encoding) if file.suffix.lower() == ".csv" else _json_lines(file, encoding)
    environment = open_environment(Settings.from_environ(os.environ), apply_packages=False)
    try:
        actor = SYSTEM
        if email:
            with environment.read(SYSTEM) as records:
                accounts = Accounts(environment.world)
                user = accounts.user_id(records.connection, email)
                found = accounts.actor_for_user(records.connection, user, "command") if user else None
            if found is None:
                raise click.UsageError(f"There is no active user {email}.")
            actor = found
        with environment.read(actor) as records:
            records.plan(object)
        run = _Import(environment, actor, object, key)
        while group := list(islice(lines, GROUP)):
            run.take(group)
            if sys.stderr.isatty():
                click.echo(f"\r{run.done} records …", nl=False, err=True)
    finally:
        environment.close()
    run.tell(as_json)
    if run.refused:
        raise SystemExit(1)


class _Import:
    def __init__(self, environment: Any, actor: Any, object: str, key: str | None) -> None:
        self._environment, self._actor, self._object, self._key = environment, actor, object, key
        self.lines = 0
        self.done = 0
        self.refused: list[dict[str, Any]] = []

    def take(self, group: Sequence[Line]) -> None:
        """Saves a group of lines; falls back to one by one when one of them is refused."""
        self.lines += len(group)
        good = [line for line in group if not line.wrong]
        self.refused += [_refusal(line, None, "bad_request", line.wrong) for line in group if line.wrong]
        try:
            self._save(good)
            self.done += len(good)
        except RatoonError:
            for line in good:
                try:
                    self._save([line])
                    self.done += 1
                except ValidationFailed as error:
                    self.refused += [_refusal(line, p.field, p.code, p.text()) for p in error.problems]
                except RatoonError as error:
                    self.refused.append(_refusal(line, getattr(error, "field", None), error.code, error.text()))

    def tell(self, as_json: bool) -> None:
        """What came of it: the sum on stdout, every problem with its line and field on stderr."""
        lines = len({problem["line"] for problem in self.refused})
        if as_json:
            shown = {"done": self.done, "lines": self.lines, "refused_lines": lines, "refused": self.refused}
            click.echo(orjson.dumps(shown).decode())
            return
        imported = f"{self.done} record{'' if self.done == 1 else 's'} imported"
        all_lines = f"{self.lines} line{'' if self.lines == 1 else 's'}"
        click.echo(f"{imported}, {lines} of {all_lines} refused." if lines else f"{imported}.")
        for problem in sorted(self.refused, key=lambda problem: problem["line"]):
            where = f"line {problem['line']}" + (f", {problem['field']}" if problem["field"] else "")
            click.echo(f"  {where}: {problem['message']}", err=True)

    def _save(self, lines: Sequence[Line]) -> None:
        """One transaction, in which lookups given by another key are found first."""

        from ratoon.platform.records.by_key import resolved

        def save(records: RecordService) -> None:
            values = resolved(records, self._object, [line.values for line in lines])
            if self._key:
                records.upsert(self._object, self._key, values, acknowledge=True)
            else:
                records.create(self._object, values, acknowledge=True)

        if lines:
            self._environment.transact(self._actor, save)


def _refusal(line: Line, name: str | None, code: str, message: str) -> dict[str, Any]:
    return {"line": line.number, "field": name, "code": code, "message": message}


def _decodable(file: Path, encoding: str) -> None:
    """Reads the file once before anything is saved. Raises ``BadRequest`` with the line that cannot be read."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with file.open("rb") as stream:
        try:
            while chunk := stream.read(CHUNK):
                line += decoder.decode(chunk).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            plain = "UTF-8" if encoding == "utf-8-sig" else encoding
            raise BadRequest(
                "{file}, line {line}: this is not {encoding}; say what it is with --encoding (gb18030 or big5 for "
                "most Chinese spreadsheets, cp1252 for Western ones).",
                file=file.name, line=line, encoding=plain,
            ) from None  # fmt: skip


def _csv(file: Path, encoding: str) -> Iterator[Line]:
    with file.open(encoding=encoding, newline="") as stream:
        reader = csv.reader(stream)
        names = [name.strip() for name in next(reader, [])]
        if not any(names):
            raise BadRequest("{file}: the first line names no keys.", file=file.name)
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise BadRequest("{file}: the first line names {names} twice.", file=file.name, names=", ".join(twice))
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(number, wrong=f"This is not CSV: {error}.")
                continue
            if len(row) > len(names):
                yield Line(number, wrong=f"There are {len(row)} values; the first line names {len(names)} keys.")
            elif row:
                blank = [""] * (len(names) - len(row))
                yield Line(
                    number, {name: value or None for name, value in zip(names, row + blank, strict=True) if name}
                )


def _json_lines(file: Path, encoding: str) -> Iterator[Line]:
    with file.open(encoding=encoding, newline="\n") as stream:
        for number, text in enumerate(stream, 1):
            if not text.strip():
                continue
            try:
                values = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                yield Line(number, wrong=f"This is not JSON: {error}.")
                continue
            yield Line(number, values) if isinstance(values, dict) else Line(number, wrong="This is not a record.")
