"""``ratoon key``: keys that sign exported packages, so that another environment can tell who made them."""

from __future__ import annotations

from pathlib import Path

import click

from ratoon.platform.cli.printing import print_json


@click.group()
def command() -> None:
    """Make keys that sign packages, and show their public half."""


@command.command("create")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def create(file: Path, as_json: bool) -> None:
    """Make a signing key, keep it in FILE and print its public half, for RATOON_TRUSTED_KEYS elsewhere."""
    from ratoon.platform.packages.sealing import create_key

    _show(create_key(file), file, as_json)


@command.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def show(file: Path, as_json: bool) -> None:
    """Print the public half of the key in FILE."""
    from ratoon.platform.packages.sealing import public_text, read_key

    _show(public_text(read_key(file)), file, as_json)


def _show(public: str, file: Path, as_json: bool) -> None:
    if as_json:
        print_json({"public": public, "file": str(file)})
    else:
        click.echo(public)
