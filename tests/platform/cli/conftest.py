"""Calls a command as a person does: in an empty folder, on an empty database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratoon.platform.cli import cli


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Callable[..., Result]:
    """Runs a command; it must succeed unless ``ok=False`` is said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATOON_DATABASE_URL", database_url)

    def call(*arguments: str, ok: bool = True) -> Result:
        result = CliRunner().invoke(cli, list(arguments))
        if ok:
            assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
        return result

    return call
