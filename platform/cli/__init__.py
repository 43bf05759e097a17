"""``ratoon``: the command line.

Each command is a module of this folder with a click command called ``command``. It is imported when it is called and
not before, so that ``ratoon --help`` answers at once. Exit status: 0 = done, 1 = refused (the reasons are on stderr),
2 = the call was wrong. ``--json`` gives machine-readable output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click

from ratoon.platform.errors import RatoonError

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "serve": ("serve", "Serve the screens and the API."),
        "worker": ("worker", "Do the work after the commit: automations, mails, calls, timers."),
        "automations": ("automations", "List automations and their versions; make them active, drafts or off."),
        "runs": ("runs", "Show what automations did; repeat, cancel, explain, try."),
        "check": ("check", "Check packages: every problem in one run, nothing is changed."),
        "plan": ("plan", "Show what applying a package would change."),
        "apply": ("apply", "Apply a package to the database."),
        "export": ("export", "Write the applied metadata to a folder or zip file."),
        "setting": ("setting", "Show and give settings that packages ask for."),
        "test": ("test", "Run the tests that packages carry."),
        "lint": ("lint", "Say what a package may do and will be sorry for."),
        "drift": ("drift", "Say how two environments differ."),
        "promote": ("promote", "Take packages to another environment: its plan first, then apply."),
        "uninstall": ("uninstall", "Take a package away; its data is kept."),
        "key": ("key", "Make keys that sign packages."),
        "history": ("history", "List the revisions of the metadata."),
        "purge": ("purge", "Drop for good what removed fields and objects left."),
        "rules": ("rules", "Ask the validation rules of the records that are there."),
        "rollback": ("rollback", "Bring the metadata of an earlier revision back."),
        "explain": ("explain", "Show the order of execution, or why somebody may do something."),
        "formula": ("formula", "Work out a formula."),
        "import": ("import_", "Import records from CSV or JSON lines."),
        "init": ("init", "Write a starter package."),
        "user": ("user", "Add users and list them."),
        "token": ("token", "Make API tokens, list and revoke them."),
        "person": ("person", "Take out everything about a person; erase one."),
        "audit": ("audit", "Look at the audit trail and check that nobody touched it."),
    }
)
"""Command → (module, the line that ``ratoon --help`` shows)."""

_AS_JSON = "ratoon.json"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; ``None`` when there is none."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"ratoon.platform.cli.{COMMANDS[cmd_name][0]}").command
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The call; whether it asks for JSON is remembered for the answer to a refusal."""
        ctx.meta[_AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; the reasons of a refusal go to stderr, in the language and manner of the call."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except RatoonError as error:
            from ratoon.platform.cli.printing import print_refusal

            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            options = [name for option in (command.params if command else ()) for name in option.opts]
            print_refusal(error, as_json=ctx.meta[_AS_JSON], options=options)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Ratoon: JSON metadata in, a working CRM out. Settings come from RATOON_* variables."""


def main() -> None:
    """The entry point of ``ratoon``: a refusal, which was told by then, becomes exit status 1."""
    try:
        cli.main(prog_name="ratoon")
    except RatoonError:
        sys.exit(1)
