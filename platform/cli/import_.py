"""``ratoon import OBJECT FILE``: records from CSV or JSON lines, through the same door as everything else.

The first line of a CSV file names the keys; a JSON-lines file has one record per line. ``--key`` names an external
id: records that have it are changed, others made. Records go in groups, each one transaction; a group with a
refused record is tried record by record, so that good ones get in and every bad one is listed with its line. A
second run with ``--key`` repeats nothing.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click
import orjson

from ratoon.platform.errors import RatoonError, ValidationFailed

GROUP = 500
Line = tuple[int, Mapping[str, Any]]


@click.command("import")
@click.argument("object")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="External id field: change records that have it, make the others.")
@click.option("--as", "email", help="E-mail of the user on whose behalf (default: the platform).")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(object: str, file: Path, key: str | None, email: str | None, as_json: bool) -> None:
    """Import records of OBJECT from FILE (.csv, .jsonl)."""
    from ratoon.platform.access.accounts import Accounts
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.app import open_environment
    from ratoon.platform.config import Settings

    environment = open_environment(Settings.from_environ(os.environ), apply_packages=False)
    actor = SYSTEM
    if email:
        with environment.read(SYSTEM) as records:
            accounts = Accounts(environment.world)
            user = accounts.user_id(records.connection, email)
            found = accounts.actor_for_user(records.connection, user, "command") if user else None
        if found is None:
            raise click.UsageError(f"There is no active user {email}.")
        actor = found
    run = _Import(environment, actor, object, key)
    lines = _csv(file) if file.suffix.lower() == ".csv" else _json_lines(file)
    try:
        while group := list(islice(lines, GROUP)):
            run.take(group)
            if sys.stderr.isatty():
                click.echo(f"\r{run.done} records …", nl=False, err=True)
    finally:
        environment.close()
    if as_json:
        click.echo(orjson.dumps({"done": run.done, "refused": run.refused}).decode())
    else:
        click.echo(f"{run.done} records imported, {len(run.refused)} refused.")
        for problem in run.refused:
            click.echo(f"  line {problem['line']}: {problem['message']}", err=True)
    if run.refused:
        raise SystemExit(1)


class _Import:
    def __init__(self, environment: Any, actor: Any, object: str, key: str | None) -> None:
        self._environment, self._actor, self._object, self._key = environment, actor, object, key
        self.done = 0
        self.refused: list[dict[str, Any]] = []

    def take(self, group: Sequence[Line]) -> None:
        """Saves a group of lines; falls back to one by one when one of them is refused."""
        try:
            self._save([values for _, values in group])
            self.done += len(group)
        except RatoonError:
            for line, values in group:
                try:
                    self._save([values])
                    self.done += 1
                except ValidationFailed as error:
                    self.refused += [
                        {"line": line, "field": p.field, "code": p.code, "message": p.text()} for p in error.problems
                    ]
                except RatoonError as error:
                    self.refused.append({"line": line, "field": None, "code": error.code, "message": error.text()})

    def _save(self, values: list[Mapping[str, Any]]) -> None:
        if self._key:
            self._environment.transact(
                self._actor, lambda r: r.upsert(self._object, self._key, values, acknowledge=True)
            )
        else:
            self._environment.transact(self._actor, lambda r: r.create(self._object, values, acknowledge=True))


def _csv(file: Path) -> Iterator[Line]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        for row in reader:
            if None in row:
                raise click.UsageError(f"{file}: line {reader.line_num} has more values than the first line has names")
            yield reader.line_num, {name: value or None for name, value in row.items() if name}


def _json_lines(file: Path) -> Iterator[Line]:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                values = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise click.UsageError(f"{file}: line {number} is not JSON: {error}") from error
            if not isinstance(values, dict):
                raise click.UsageError(f"{file}: line {number} is not a record")
            yield number, values
