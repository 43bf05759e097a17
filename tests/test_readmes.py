"""What the READMEs name is there: files, headings, commands with their options, make targets, settings.

What docstrings name is there too: modules and templates, and the methods of classes.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import fields
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import pytest

from ratoon.platform.cli import COMMANDS, cli
from ratoon.platform.config import Settings
from ratoon.platform.fields import builtin_types

ROOT = Path(__file__).resolve().parent.parent
BUILT = {".venv", "node_modules", "build", "dist"}
PAGES = sorted(p for p in ROOT.rglob("*.md") if not BUILT & {*p.relative_to(ROOT).parts})
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"[\w*./-]+\.(?:py|json|js|css|html|toml|lark|md|txt|po)")
FIELDS = {type(kind).__module__.rpartition(".")[2] for kind in builtin_types()}
NAMED_CODE = re.compile(r"(?<![\w/.*])[\w*][\w/*-]*\.(?:py|html)\b")
SETTING = re.compile(r"\bRATOON_[A-Z][A-Z_]*[A-Z]\b")
PACKAGES = (ROOT / "objects", ROOT / "tests" / "worlds", *sorted((ROOT / "tests" / "worlds").iterdir()))
page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


@page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        file, _, heading = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (heading and heading not in headings(there)):
            broken.append(target)
    assert not broken


def headings(file: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {name for code in CODE.findall(FENCE.sub("", text)) for name in FILE.findall(code) if code_is_a_place(code)}
    assert not sorted(name for name in named if not found_from(page, name))


def code_is_a_place(code: str) -> bool:
    """Whether a piece of code names a file of this repository: one word, no address, no place of somebody's package."""
    return not re.search(r"[\s<>…{}$\\:=(]|^/|^\.bench/", code)


def found_from(page: Path, name: str) -> bool:
    """Whether a file is there: in the page's room, at any depth, or named from the platform, the root, the tests of the
    room, or a package (the standard one, a world of the tests)."""
    here = page.parent
    deeper = (p for p in here.rglob(name) if apart(p)) if here != ROOT else ()
    places = (here.parent, ROOT / "platform", ROOT, ROOT / "tests" / here.relative_to(ROOT), *PACKAGES)
    return any(True for _ in deeper) or any(True for place in places for _ in place.glob(name))


ROOMS = [*sorted(p.parent for p in ROOT.glob("platform/*/README.md")), ROOT / "ui"]


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_of_a_room_is_on_its_map(room: Path) -> None:
    """Each is named in the README: by itself, by a pattern, or because it is a kind of field or a command."""
    names = set(re.findall(r"(?<![\w/])[\w*]+\.py\b", (room / "README.md").read_text(encoding="utf-8")))
    obvious = {f"{name}.py" for name in (*FIELDS, *(module for module, _ in COMMANDS.values()), "__init__")}
    modules = [p.name for p in sorted(room.glob("*.py")) if p.name not in obvious]
    assert not [name for name in modules if not any(fnmatch(name, known) for known in names)]


@page
def test_every_command_that_is_shown_can_be_given(page: Path) -> None:
    wrong = [f"{line}: {why}" for line in commands(page.read_text(encoding="utf-8")) if (why := refusal(line))]
    assert not wrong


def commands(text: str) -> Iterator[str]:
    """The command lines of a page: pieces of code and lines of code blocks."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from re.findall(r"(?:^|&& |\.venv/bin/)(?=(?:ratoon|make) )(.*)", line.partition("  #")[0].strip())
    yield from (code for code in CODE.findall(FENCE.sub("", text)) if re.match(r"(ratoon|make) \w", code))


def refusal(line: str) -> str:
    """Why a command line cannot be given; empty when it can."""
    line = re.sub(r"[\[\]…]|\.\.\.", " ", line)
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return "" if words[1] in targets else "no such target"
    command: click.Command = cli
    context, rest = click.Context(cli), iter(words[1:])
    for word in rest:
        if word.startswith("-"):
            options = {name: p for p in command.params for name in (*p.opts, *p.secondary_opts)}
            found = options.get(word.partition("=")[0])
            if found is None and word not in ("--help", "-h"):
                return f"{command.name} has no option {word}"
            if isinstance(found, click.Option) and not found.is_flag and "=" not in word:
                next(rest, None)
        elif isinstance(command, click.Group):
            several = [command.get_command(context, name) for name in word.split("|")]
            if None in several:
                return f"there is no command {word}"
            command = several[0] or command
    return ""


@page
def test_every_setting_that_is_named_is_read(page: Path) -> None:
    known = {f"RATOON_{field.name.upper()}" for field in fields(Settings)} | read_elsewhere()
    named = set(SETTING.findall(page.read_text(encoding="utf-8")))
    assert not sorted(name for name in named if not any(k == name or k.startswith(f"{name}_") for k in known))


def read_elsewhere() -> set[str]:
    """Variables that commands and tests read by themselves."""
    files = [*ROOT.glob("platform/cli/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "Makefile"]
    return {name for file in files for name in SETTING.findall(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    "line",
    [
        "ratoon undo 3",
        "ratoon plan clinic --harder",
        "ratoon runs forget",
        "ratoon automations draft|never x",
        "make tea",
    ],
)
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    assert refusal(line)


def test_a_file_and_a_heading_that_are_not_there_are_noticed() -> None:
    assert found_from(ROOT / "platform/storage/README.md", "store.py")
    assert not found_from(ROOT / "platform/storage/README.md", "storing.py")
    assert "how-fast" in headings(ROOT / "platform/README.md")


@cache
def parsed() -> dict[Path, list[ast.AST]]:
    """Every node of every module."""
    files = [p for room in ("platform", "plugins", "ui", "tests") for p in sorted((ROOT / room).rglob("*.py"))]
    return {file: list(ast.walk(ast.parse(file.read_text(encoding="utf-8")))) for file in files if apart(file)}


def apart(file: Path) -> bool:
    return BUILT.isdisjoint(file.parts)


def pieces_of_code(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What stands between double backquotes in the docstrings of a module, constants' too."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from re.findall(r"``([^`\n]+)``", node.value.value)


def test_every_module_and_template_that_a_docstring_names_is_there() -> None:
    wrong = []
    for file, nodes in parsed().items():
        named = {name for code in pieces_of_code(nodes) for name in NAMED_CODE.findall(code)}
        wrong += [f"{file.relative_to(ROOT)}: {name}" for name in sorted(named) if not found_from(file, name)]
    assert not wrong


def test_every_member_that_a_docstring_names_is_there() -> None:
    members: dict[str, set[str]] = {}
    for nodes in parsed().values():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                members.setdefault(node.name, set()).update(names_in(node))
    wrong = []
    for file, nodes in parsed().items():
        for holder, member in re.findall(r"\b([A-Z]\w+)\.(\w+)", "\n".join(pieces_of_code(nodes))):
            inherited = {holder, *members.get(holder, ())} & members.keys()
            if holder in members and not any(member in members[name] for name in inherited):
                wrong.append(f"{file.relative_to(ROOT)}: {holder}.{member}")
    assert not wrong


def names_in(holder: ast.ClassDef) -> Iterator[str]:
    """What a class defines, and those it is made of."""
    for node in ast.walk(holder):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.Name():
                yield node.id
            case ast.Attribute():
                yield node.attr
