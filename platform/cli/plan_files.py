"""Plan files: what ``ratoon plan --out FILE`` writes and ``ratoon apply --plan FILE`` holds the change to.

A plan file has the whole plan as JSON, for people and other programs, and its fingerprint. Applying with it is refused
when anything would happen that the plan does not say: other metadata by now, other documents, other losses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ratoon.platform.cli.speaking import here
from ratoon.platform.errors import Text
from ratoon.platform.packages.planning import Plan
from ratoon.platform.storage.filling import Progress, silent

FORMAT = "ratoon-plan-1"


def write_plan(file: Path, plan: Plan) -> None:
    """Writes a plan file."""
    written = {"format": FORMAT, "fingerprint": plan.fingerprint, "plan": plan.as_json()}
    file.write_text(json.dumps(written, ensure_ascii=False, indent=2, default=str) + "\n", encoding="utf-8")


def read_fingerprint(file: Path | None) -> str | None:
    """The fingerprint in a plan file; ``None`` without a file. Raises ``click.UsageError`` for anything else."""
    if file is None:
        return None
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise KeyError("format")
        return str(found["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{file} is no plan file (made by ratoon plan --out).") from error


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Progress]:
    """A progress bar on stderr for long moves of data; nothing when not ``shown`` or when stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield tell


def tell_waiting(text: Text) -> None:
    """On stderr, whose change is waited for."""
    click.secho(here(text), fg="yellow", err=True)
