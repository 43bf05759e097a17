"""What commands print: findings and refusals on stderr, results on stdout, JSON when asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import click

from ratoon.platform.cli.speaking import here, tell, translator
from ratoon.platform.errors import Conflict, Finding, MetadataRefused, RatoonError, ValidationFailed

_COLOURS: Mapping[str, str] = {"error": "red", "warning": "yellow", "info": "cyan"}


def print_json(value: Any) -> None:
    """A value on stdout as JSON, its texts in the caller's language."""
    click.echo(json.dumps(here(value), ensure_ascii=False, indent=2, default=str))


def print_findings(findings: Iterable[Finding]) -> None:
    """Findings on stderr, grouped by file: where, what, how to mend it."""
    file = None
    for finding in findings:
        if finding.file != file:
            file = finding.file
            click.secho(file, bold=True, err=True)
        mark = click.style(tell(finding.severity), fg=_COLOURS[finding.severity])
        where = click.style(finding.pointer or "/", fg="blue")
        click.echo(f"  {mark} {where} {here(finding.message)} [{finding.code}]", err=True)
        if finding.hint:
            click.echo(f"        → {here(finding.hint)}", err=True)


GOING_ON: Mapping[str, str] = MappingProxyType(
    {"destructive": "--allow-destructive", "data_refuses": "--allow-violations"}
)
"""Code of a refusal → the option of a command that does it all the same."""


def print_refusal(error: RatoonError, *, as_json: bool = False, options: Collection[str] = ()) -> None:
    """Why something was refused: in words on stderr and, when asked, as JSON on stdout; ``options`` are those that
    the command takes, so that the one that helps is named."""
    if as_json:
        shown: dict[str, Any] = {"error": {"code": error.code, "message": error.text(translator())}}
        if isinstance(error, Conflict) and hasattr(error, "disagreements"):
            shown["conflicts"] = [found.as_json() for found in error.disagreements]
        if isinstance(error, Conflict) and hasattr(error, "outcomes"):
            shown["tests"] = [outcome.as_json() for outcome in error.outcomes]
        if isinstance(error, Conflict) and hasattr(error, "problem"):
            shown["problem"] = dict(error.problem)
        if isinstance(error, MetadataRefused):
            shown["findings"] = [asdict(finding) for finding in error.findings]
        print_json(shown)
    if isinstance(error, MetadataRefused):
        print_findings(error.findings)
    if isinstance(error, Conflict) and hasattr(error, "missing"):
        for need in error.missing:
            click.echo(f"  --set {need.package}.{need.name}=…  {need.label}", err=True)
    if isinstance(error, Conflict) and hasattr(error, "outcomes"):
        for outcome in error.outcomes:
            click.secho(f"{outcome.package}: {outcome.label}", bold=True, err=True)
            for failure in outcome.failures:
                click.echo(f"  {here(failure.text)}", err=True)
    if isinstance(error, Conflict) and hasattr(error, "disagreements"):
        from ratoon.platform.cli.merging import print_conflicts

        print_conflicts([found.as_json() for found in error.disagreements])
    click.secho(f"{error.code}: {error.text(translator())}", fg="red", err=True)
    if GOING_ON.get(error.code) in options:
        click.echo("  → " + tell("{option} does it all the same", option=GOING_ON[error.code]), err=True)
    if isinstance(error, ValidationFailed):
        for problem in error.problems:
            click.echo(f"  {problem.field or ''}: {problem.text(translator())}", err=True)


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Table

    made = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*row)
    Console(highlight=False).print(made)
