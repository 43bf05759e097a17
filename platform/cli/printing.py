"""What commands print: findings and refusals on stderr, results on stdout, JSON when asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ratoon.platform.errors import Conflict, Finding, MetadataRefused, RatoonError, ValidationFailed

if TYPE_CHECKING:
    from ratoon.platform.packages.differences import ComponentChange, Detail
    from ratoon.platform.packages.notes import DataNote
    from ratoon.platform.packages.planning import Plan

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


def print_refusal(error: RatoonError, *, as_json: bool = False) -> None:
    """Why something was refused: in words on stderr and, when asked, as JSON on stdout."""
    if as_json:
        shown: dict[str, Any] = {"error": {"code": error.code, "message": error.text()}}
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
                click.echo(f"  {failure}", err=True)
    if isinstance(error, Conflict) and hasattr(error, "disagreements"):
        from ratoon.platform.cli.merging import print_conflicts

        print_conflicts(error.disagreements)
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


def print_plan(plan: Plan) -> None:
    """A plan on stdout: components field by field, DDL, what it means for the records, and the sum."""
    print_components(plan.components)
    if plan.schema:
        click.secho("Tables", bold=True)
    for step in plan.schema:
        click.secho(f"  {'! ' if step.destructive else '  '}{step.description}", fg="red" if step.destructive else None)
    if plan.notes:
        click.secho("Records", bold=True)
    for note in plan.notes:
        _print_note(note)
    if plan.rights:
        click.secho("Permissions that widen", bold=True)
    for widening in plan.rights:
        click.secho(f"  {widening.message}", fg="yellow")
    for loss in plan.destructive:
        click.secho(f"! {loss}", fg="red")
    print_local_edits(plan.upgrade.local)
    for found in plan.upgrade.settled:
        click.secho(f"  settled: {found.package}/{found.file} {found.path}", fg="cyan")
    sums = Counter(change.action for change in plan.components)
    if plan.empty:
        click.echo(f"Nothing to do: revision {plan.revision} is already so.")
    else:
        click.echo(
            f"From revision {plan.revision}: {sums['added']} to add, {sums['changed']} to change, "
            f"{sums['removed']} to remove; {count(len(plan.schema), 'change')} of tables."
        )


def print_components(changes: Iterable[ComponentChange]) -> None:
    """Components that were added, changed and removed, field by field, on stdout."""
    for change in changes:
        sign, colour = _SIGNS[change.action]
        click.secho(f"{sign} {change.kind} {change.name}", fg=colour, bold=True, nl=False)
        click.echo(f"  ({change.package}/{change.file})")
        for detail in change.details:
            sign, colour = _SIGNS[detail.action]
            click.secho(f"    {sign} {detail.path}{_values(detail)}", fg=colour)


def print_local_edits(changes: Sequence[ComponentChange]) -> None:
    """Local edits of packages, as they differ from what the packages bring."""
    if changes:
        click.secho("Local edits that stay", bold=True)
    for change in changes:
        sign, colour = _SIGNS[change.action]
        click.secho(f"  {sign} {change.kind} {change.name}", fg=colour, nl=False)
        click.echo(f"  ({change.package}/{change.file})")
        for detail in change.details if change.action == "changed" else ():
            sign, colour = _SIGNS[detail.action]
            click.secho(f"      {sign} {detail.path}{_values(detail)}", fg=colour)


def _print_note(note: DataNote) -> None:
    stops = note.refuses or note.violates
    click.secho(f"  {'refused: ' if stops else ''}{note.message}", fg="red" if stops else "yellow")
    for sample in note.samples:
        value = "" if sample.value is None else f": {_short(sample.value)}"
        click.echo(f"      {sample.id} {sample.title}{value}")
    if note.count > len(note.samples) > 0:
        click.echo("      …")
    if note.hint:
        click.echo(f"      → {note.hint}")


_SIGNS: Mapping[str, tuple[str, str]] = {
    "added": ("+", "green"),
    "changed": ("~", "yellow"),
    "removed": ("-", "red"),
    "renamed": (">", "cyan"),
}


def _values(detail: Detail) -> str:
    if detail.action == "changed":
        return f": {_short(detail.before)} → {_short(detail.after)}"
    value = detail.after if detail.action == "added" else detail.before
    if isinstance(value, Mapping):
        value = value.get("type")
    return f": {_short(value)}" if value is not None else ""


def _short(value: Any, longest: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"
