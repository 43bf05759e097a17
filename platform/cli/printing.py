"""What commands print: findings and refusals on stderr, results on stdout, JSON when asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from ratoon.platform.errors import Finding, MetadataRefused, RatoonError, ValidationFailed

_COLOURS: Mapping[str, str] = {"error": "red", "warning": "yellow", "info": "cyan"}


def print_json(value: Any) -> None:
    """A value on stdout as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_findings(findings: Iterable[Finding]) -> None:
    """Findings on stderr, grouped by file: where, what, how to mend it."""
    file = None
    for finding in findings:
        if finding.file != file:
            file = finding.file
            click.secho(file, bold=True, err=True)
        mark = click.style(finding.severity, fg=_COLOURS[finding.severity])
        where = click.style(finding.pointer or "/", fg="blue")
        click.echo(f"  {mark} {where} {finding.message} [{finding.code}]", err=True)
        if finding.hint:
            click.echo(f"        → {finding.hint}", err=True)


def print_refusal(error: RatoonError) -> None:
    """Why something was refused, on stderr."""
    if isinstance(error, MetadataRefused):
        print_findings(error.findings)
    click.secho(f"{error.code}: {error.text()}", fg="red", err=True)
    if isinstance(error, ValidationFailed):
        for problem in error.problems:
            click.echo(f"  {problem.field or ''}: {problem.text()}", err=True)


def count(number: int, one: str, many: str = "") -> str:
    """``1 problem``, ``3 problems``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Table

    made = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*row)
    Console(highlight=False).print(made)
