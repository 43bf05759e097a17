"""How a plan looks: components part by part, tables, what it means for the records, what widens, and the sum.

A plan is printed from its JSON (``Plan.as_json()``), because that of another environment arrives as such. In a
terminal, values that do not fit beside each other stand under each other, and lines of values and samples end where the
terminal does (sentences never do); into a file or a pipe everything is written whole and without colours.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import count, here, tell

if TYPE_CHECKING:
    from ratoon.platform.packages import Applied

Shown = Mapping[str, Any]
_SIGNS: Mapping[str, tuple[str, str]] = {
    "added": ("+", "green"),
    "changed": ("~", "yellow"),
    "removed": ("-", "red"),
    "renamed": (">", "cyan"),
}
_NARROWEST = 60
_WIDEST = 10_000
_VALUE = 400
"""Longest value that is shown, in characters; the whole is in ``--json``."""


def print_plan(plan: Shown, *, there: bool = False) -> None:
    """A plan on stdout. ``there``: it is that of another environment."""
    print_components(plan["components"])
    _section(tell("Tables"), plan["schema"])
    _print_tables(plan["schema"])
    _section(tell("Existing records"), plan["data"])
    for note in plan["data"]:
        _print_note(note)
    _section(tell("Permissions that widen"), plan.get("rights"))
    for widening in plan.get("rights", ()):
        click.secho(f"  {here(widening['message'])}", fg="yellow")
    _section(tell("Taken away"), plan["destructive"])
    for loss in plan["destructive"]:
        click.secho(f"! {here(loss)}", fg="red")
    print_local_edits(plan.get("local_edits", ()))
    for found in plan.get("settled", ()):
        click.secho(f"  {tell('settled:')} {found['package']}/{found['file']} {found['path']}", fg="cyan")
    _print_sum(plan, there)


def _print_tables(steps: Sequence[Shown]) -> None:
    """Every change of a table; the indexes that come with a new table are counted behind it."""
    made = {step["table"] for step in steps if step["kind"] == "create_table"}
    along = Counter(step["table"] for step in steps if step["kind"] == "create_index" and step["table"] in made)
    for step in steps:
        if step["kind"] == "create_index" and step["table"] in made:
            continue
        sign, colour = ("! ", "red") if step["destructive"] else ("  ", None)
        indexes = along[step["table"]] if step["kind"] == "create_table" else 0
        more = f" ({here(count(indexes, 'index', 'indexes'))})" if indexes else ""
        click.secho(f"  {sign}{here(step['description'])}{more}", fg=colour)


def print_applied(applied: Applied, *, as_json: bool) -> None:
    """What was applied: its plan, and the revision that stands now."""
    if as_json:
        print_json(applied.as_json())
        return
    print_plan(applied.plan.as_json())
    print_outcome(applied)


def print_outcome(applied: Applied) -> None:
    """The revision that stands now, or that it would work."""
    if applied.validated_only:
        click.secho(tell("It would work; nothing was changed."), fg="green")
    else:
        click.secho(tell("The metadata is at revision {revision}.", revision=applied.revision), fg="green")


def print_components(changes: Iterable[Shown]) -> None:
    """Components that were added, changed and removed, part by part, on stdout."""
    for change in changes:
        _print_component(change, "", change["details"])


def print_local_edits(changes: Sequence[Shown]) -> None:
    """Local edits of packages, as they differ from what the packages bring."""
    _section(tell("Local edits that stay"), changes)
    for change in changes:
        _print_component(change, "  ", change["details"] if change["action"] == "changed" else ())


def _print_component(change: Shown, indent: str, details: Iterable[Shown]) -> None:
    sign, colour = _SIGNS[change["action"]]
    click.secho(f"{indent}{sign} {change['kind']} {here(change['name'])}", fg=colour, bold=True, nl=False)
    click.echo(f"  ({change['package']}/{change['file']})")
    for detail in details:
        _print_detail(detail, f"{indent}    ")


def _print_detail(detail: Shown, indent: str) -> None:
    sign, colour = _SIGNS[detail["action"]]
    before, after = _short(detail.get("before")), _short(detail.get("after"))
    line = f"{indent}{sign} {detail['path']}"
    if detail["action"] != "changed":
        value = detail.get("after") if detail["action"] == "added" else detail.get("before")
        value = _named(value)
        _line(line if value is None else f"{line}: {_short(value)}", fg=colour)
    elif _width(both := f"{line}: {before} → {after}") <= _columns() and "\n" not in both:
        click.secho(both, fg=colour)
    else:
        click.secho(f"{line}:", fg=colour)
        for mark, value, shade in (("-", before, "red"), ("+", after, "green")):
            for part in value.split("\n"):
                _line(f"{indent}    {mark} {part}", fg=shade)


def _named(value: Any) -> Any:
    """What stands for a part that comes or goes: its type or label; the names of the items of a list."""
    if isinstance(value, Mapping):
        return value.get("type", value.get("label"))
    if isinstance(value, list | tuple) and value and all(isinstance(i, Mapping) and "name" in i for i in value):
        return ", ".join(str(item["name"]) for item in value)
    return value


def _print_note(note: Shown) -> None:
    stops = note.get("refuses") or note.get("violates")
    said = f"{tell('refused: ') if stops else ''}{here(note['message'])}"
    click.secho(f"  {said}", fg="red" if stops else "yellow")
    samples = note["samples"]
    widest = max((_width(sample["title"]) for sample in samples), default=0)
    for sample in samples:
        value = "" if sample.get("value") is None else f"  {_short(sample['value'])}"
        gap = " " * (widest - _width(sample["title"])) if value else ""
        _line(f"      {sample['id']}  {sample['title']}{gap}{value}")
    if note["count"] > len(samples) > 0:
        click.echo("      " + tell("… and {count} more", count=f"{note['count'] - len(samples):,}"))
    if note.get("hint"):
        click.echo(f"      → {here(note['hint'])}")


def _print_sum(plan: Shown, there: bool) -> None:
    if plan["empty"]:
        if there:
            click.echo(tell("Nothing to do: revision {revision} there is already so.", revision=plan["revision"]))
        else:
            click.echo(tell("Nothing to do: revision {revision} is already so.", revision=plan["revision"]))
        return
    sums = Counter(change["action"] for change in plan["components"])
    line = tell(
        "{from_revision}: {added} to add, {changed} to change, {removed} to remove; {count} of tables.",
        from_revision=here(_from(plan["revision"], there)),
        added=sums["added"],
        changed=sums["changed"],
        removed=sums["removed"],
        count=count(len(plan["schema"]), "change"),
    )
    click.secho(line, bold=True)


def _from(revision: int, there: bool) -> str:
    if there:
        return tell("From revision {revision} there", revision=revision)
    return tell("From revision {revision}", revision=revision)


def _section(title: str, items: Any) -> None:
    if items:
        click.secho(title, bold=True)


def _line(text: str, fg: str | None = None) -> None:
    """A line of values, ended where the terminal ends."""
    click.secho(_cut(text, _columns()), fg=fg)


def _columns() -> int:
    """Columns of the terminal; as good as any number when the output goes elsewhere."""
    if not sys.stdout.isatty():
        return _WIDEST
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def _width(text: str) -> int:
    """Columns that a text takes: a Chinese character takes two."""
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, columns: int) -> str:
    if _width(text) <= columns:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, columns - 1).rstrip() + "…"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"
