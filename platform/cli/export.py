"""``ratoon export DEST``: the applied metadata as a folder or zip file, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import count, tell
from ratoon.platform.packages import Target, export
from ratoon.platform.packages.sealing import read_key


@click.command()
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--package", help="Only this package (default: all but the built-in one).")
@click.option(
    "--component", "components", multiple=True, help="Only this and what it needs: object/account, view/account.open …"
)
@click.option("--sign", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Sign it with this key.")
@click.option("--checksums", is_flag=True, help="With checksums also in a folder; a zip file always has them.")
@click.option("--revision", type=int, help="As it stood at this revision (default: now).")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(
    destination: Path,
    package: str | None,
    components: tuple[str, ...],
    sign: Path | None,
    checksums: bool,
    revision: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the applied metadata to DESTINATION: a folder, or a zip file when it ends in .zip."""
    with environment() as opened:
        exported = export(Target.of(opened), package, revision, components)
    if sign is not None or checksums:
        exported = exported.sealed(read_key(sign) if sign is not None else None)
    exported.write(destination, overwrite=overwrite)
    if as_json:
        print_json(exported.as_json())
    else:
        names = ", ".join(exported.packages) or "nothing"
        click.echo(
            tell(
                "{count} of {names} written to {destination}.",
                count=count(len(exported.files), "document"),
                names=names,
                destination=destination,
            )
        )
