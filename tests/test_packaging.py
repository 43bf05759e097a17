"""What is released is complete: every package of the rooms is in the list that setuptools gets."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_package_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = set(settings["packages"])
    there = {"ratoon.platform"}
    for room in ("platform", "objects", "plugins", "ui", "schemas"):
        for init in (ROOT / room).rglob("__init__.py"):
            if "node_modules" not in init.parts:
                there.add(".".join(("ratoon", *init.parent.relative_to(ROOT).parts)))
    assert there == listed


def test_nothing_committed_names_a_machine_or_a_registry() -> None:
    patterns = [
        "/" + "work/",
        "/" + "root/",
        "/" + "tmp/ratoon",
        "pypi" + ".org",
        "registry" + ".npmjs",
        "." + "library",
    ]
    for pattern in patterns:
        found = subprocess.run(
            ["git", "grep", "-n", "-I", "-F", pattern], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
        assert not found, f"{pattern} stands in: {found[:300]}"


def test_the_top_level_is_the_product() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.split("/")[0] for name in tracked}
    wanted = {"pyproject.toml", "platform", "objects", "plugins", "ui", "schemas", "tests", "README.md"}
    beside = {"Makefile", ".ci", "LICENSE", "CHANGELOG.md", ".gitignore", ".gitattributes", ".editorconfig"}
    assert top <= wanted | beside, top - wanted - beside
