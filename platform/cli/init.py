"""``ratoon init PATH``: a starter package that passes the check, with schemas beside it for the editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ratoon.platform.cli.language import offline_language
from ratoon.platform.cli.printing import print_json
from ratoon.platform.errors import Conflict
from ratoon.platform.metadata.documents import canonical
from ratoon.platform.metadata.names import snake
from ratoon.platform.metadata.schemas import schema_files

SCHEMAS = ".schemas"
"""Folder of the schemas inside a package; names with a dot in front are no part of it."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the package (default: made of the folder's name).")
@click.option("--object", "object_name", default="thing", show_default=True, help="Name of the first object.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(path: Path, name: str | None, object_name: str, as_json: bool) -> None:
    """Write a starter package to the folder PATH."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Conflict("{path} exists already and is not empty.", path=str(path))
    package = snake(name or path.resolve().name) or "package"
    first = snake(object_name)
    if not first:
        raise click.BadParameter("a name has letters a–z", param_hint="--object")
    language, _ = offline_language()
    files = {f"{SCHEMAS}/{file}": text for file, text in schema_files(language.types).items()}
    files |= {file: canonical(data) for file, data in starter(package, first).items()}
    for file, text in files.items():
        written = path / file
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text, encoding="utf-8")
    documents = [file for file in files if not file.startswith(SCHEMAS)]
    if as_json:
        print_json({"package": package, "path": str(path), "files": documents})
        return
    click.echo(f"The package {package} is in {path}: {', '.join(documents)}.")
    click.echo(f"Next: ratoon check {path}; ratoon plan {path}; ratoon apply {path}")


def starter(package: str, object_name: str) -> dict[str, dict[str, Any]]:
    """The documents of a starter package by path."""
    words = object_name.replace("_", " ").capitalize()
    return {
        "manifest.json": {
            "$schema": f"{SCHEMAS}/manifest.json",
            "kind": "package",
            "name": package,
            "version": "0.1.0",
            "label": package.replace("_", " ").capitalize(),
        },
        f"{object_name}/object.json": _object(object_name, words),
        f"{object_name}/views/open.json": _view(object_name),
        "strings/zh-Hans.json": _strings(object_name, words),
    }


def _object(name: str, words: str) -> dict[str, Any]:
    return {
        "$schema": f"../{SCHEMAS}/object.json",
        "kind": "object",
        "name": name,
        "label": words,
        "plural_label": f"{words}s",
        "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name", "required": True, "searchable": True},
            {
                "name": "status",
                "type": "picklist",
                "label": "Status",
                "default": '"open"',
                "values": [{"value": "open", "label": "Open"}, {"value": "done", "label": "Done"}],
            },
            {"name": "due", "type": "date", "label": "Due"},
            {"name": "notes", "type": "textarea", "label": "Notes"},
        ],
        "rules": [
            {
                "name": "done_needs_notes",
                "error_when": 'AND(status = "done", ISBLANK(notes))',
                "field": "notes",
                "message": "Say in the notes how it was done.",
            }
        ],
    }


def _view(object_name: str) -> dict[str, Any]:
    return {
        "$schema": f"../../{SCHEMAS}/view.json",
        "kind": "view",
        "object": object_name,
        "name": "open",
        "label": "Open",
        "columns": ["name", "status", "due"],
        "filter": 'status = "open"',
        "sort": ["due"],
        "default": True,
    }


def _strings(object_name: str, words: str) -> dict[str, Any]:
    """The words of the object are the admin's own, to be translated there; they stand as they are until then."""
    return {
        "$schema": f"../{SCHEMAS}/strings.json",
        "kind": "strings",
        "locale": "zh-Hans",
        "texts": {
            "Due": "截止日期",
            "Name": "名称",
            "Notes": "备注",
            "Open": "未完成",
            "Done": "已完成",
            "Status": "状态",
            "Say in the notes how it was done.": "请在备注中写明是如何完成的。",
            words: "事项" if object_name == "thing" else words,
            f"{words}s": "事项" if object_name == "thing" else f"{words}s",
        },
    }
