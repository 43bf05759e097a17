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
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import orjson

from ratoon.platform.errors import BadRequest, Problem
from ratoon.platform.records.importing import Importing, Line, csv_head, csv_lines

CHUNK = 1 << 20
"""Bytes that are decoded at a time while the file's encoding is checked."""


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
        run = Importing(partial(environment.transact, actor), object, key)
        while run.take(lines):
            if sys.stderr.isatty():
                click.echo(f"\r{run.done} records …", nl=False, err=True)
    finally:
        environment.close()
    _tell(run, as_json=as_json)
    if run.refused:
        raise SystemExit(1)


def _tell(run: Importing, *, as_json: bool) -> None:
    """What came of it: the sum on stdout, every problem with its line and field on stderr."""
    lines = len({line for line, _ in run.refused})
    if as_json:
        refused = [{"line": n, "field": p.field, "code": p.code, "message": p.text()} for n, p in run.refused]
        shown = {"done": run.done, "lines": run.lines, "refused_lines": lines, "refused": refused}
        click.echo(orjson.dumps(shown).decode())
        return
    imported = f"{run.done} record{'' if run.done == 1 else 's'} imported"
    all_lines = f"{run.lines} line{'' if run.lines == 1 else 's'}"
    click.echo(f"{imported}, {lines} of {all_lines} refused." if lines else f"{imported}.")
    for line, problem in sorted(run.refused, key=lambda each: each[0]):
        where = f"line {line}" + (f", {problem.field}" if problem.field else "")
        click.echo(f"  {where}: {problem.text()}", err=True)


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
        yield from csv_lines(reader, csv_head(reader, file.name))


def _json_lines(file: Path, encoding: str) -> Iterator[Line]:
    with file.open(encoding=encoding, newline="\n") as stream:
        for number, text in enumerate(stream, 1):
            if not text.strip():
                continue
            try:
                values = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                wrong = Problem("bad_request", "This is not JSON: {reason}.", params={"reason": str(error)})
                yield Line(number, wrong=wrong)
                continue
            if isinstance(values, dict):
                yield Line(number, values)
            else:
                yield Line(number, wrong=Problem("bad_request", "This is not a record."))
