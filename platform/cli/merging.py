"""What ``plan`` and ``apply`` ask about local edits of a package: options, the file of conflicts, and how they look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ratoon.platform.cli.speaking import count, tell
from ratoon.platform.packages.merging import Choices, Side, read_resolutions
from ratoon.platform.packages.upgrades import Manner

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option("--edit", is_flag=True, help="A local edit of the package, not a new version of it."),
    click.option("--discard-edits", is_flag=True, help="Take the package as it is; local edits of it go."),
    click.option("--ours", "prefer", flag_value="ours", help="Where both changed something: keep the local edit."),
    click.option("--theirs", "prefer", flag_value="theirs", help="Where both changed something: take the new version."),
    click.option(
        "--resolve",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file that says for each conflict which side to take; --conflicts writes it.",
    ),
    click.option(
        "--conflicts",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the conflicts to this file, to be filled in and given to --resolve.",
    ),
)


SETTINGS = (
    click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting that the package asks for."),
    click.option(
        "--settings",
        "settings_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A JSON file of settings that the package asks for: name to value.",
    ),
)


def read_json(file: Path) -> Any:
    """What a file that somebody wrote by hand says. Raises ``UsageError`` naming the file and the line."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise click.UsageError(f"{file}: line {error.lineno}: {error.msg}.") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is no text in UTF-8.") from error


def setting_options(command: Command) -> Command:
    """Adds ``--set`` and ``--settings``; the command gets ``given`` and ``settings_file``."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command


def settings_given(given: Sequence[str], file: Path | None) -> dict[str, Any]:
    """What the options say."""
    found: dict[str, Any] = {}
    if file is not None:
        read = read_json(file)
        if not isinstance(read, dict):
            raise click.UsageError(f"{file} is no JSON object.")
        found.update(read)
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"--set {text} is not NAME=VALUE.")
        found[name] = value
    return found


def asked(missing: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The values of missing settings, asked for one by one; secrets are not shown."""
    return {
        f"{need['package']}.{need['name']}": click.prompt(need["label"], hide_input=bool(need["secret"]))
        for need in missing
    }


def merge_options(command: Command) -> Command:
    """Adds the options; the command gets ``edit``, ``discard_edits``, ``prefer``, ``resolve`` and ``conflicts``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def manner(edit: bool, discard_edits: bool, prefer: str | None, resolve: Path | None) -> Manner:
    """What the options say. Raises ``BadRequest`` for a file that is no list of resolutions."""
    if edit and discard_edits:
        raise click.UsageError("--edit and --discard-edits exclude one another.")
    by_place = {}
    if resolve is not None:
        by_place = read_resolutions(read_json(resolve))
    side: Side | None = "ours" if prefer == "ours" else "theirs" if prefer == "theirs" else None
    return Manner(edit=edit, discard_edits=discard_edits, choices=Choices(by_place, side))


def write_conflicts(found: Sequence[Mapping[str, Any]], file: Path | None) -> None:
    """Writes the file of conflicts, each with an empty ``take``, when one was asked for."""
    if file is None:
        return
    asked = {"conflicts": [{**conflict, "take": None} for conflict in found]}
    file.write_text(json.dumps(asked, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    said = tell(
        '{file}: {count}. Put "ours", "theirs" or "base" into each "take".',
        file=file,
        count=count(len(found), "conflict"),
    )
    click.echo(said, err=True)


def print_conflicts(found: Iterable[Mapping[str, Any]]) -> None:
    """Each conflict with its three values, on stderr."""
    for conflict in found:
        place = f"{conflict['package']}/{conflict['file']} {conflict['path'] or '(the document)'}"
        click.secho(place, bold=True, err=True)
        for name, colour in (("base", None), ("theirs", "cyan"), ("ours", "yellow")):
            value = json.dumps(conflict[name], ensure_ascii=False) if name in conflict else tell("(not there)")
            click.secho(f"  {name:>6}  {value if len(value) <= 200 else value[:199] + '…'}", fg=colour, err=True)
    click.echo(tell("Settle them with --ours, --theirs, or --conflicts FILE and --resolve FILE."), err=True)
