"""Dependencies point one way: which room may import which, and where Flask and SQLAlchemy may be used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = [
    "errors",
    "catalogs",
    "config",
    "hookspecs",
    "formulas",
    "fields",
    "metadata",
    "storage",
    "access",
    "records",
    "automation",
    "jobs",
    "packages",
    "environment",
    "sdk",
    "plugins",
    "api",
    "app",
    "cli",
]
"""Left may not import right. ``hookspecs`` imports types only for the type checker."""
OUTER = {"objects": (), "schemas": (), "plugins": ("ratoon.platform.sdk",), "ui": ("ratoon.platform",)}
LIMITED = {
    "flask": ("platform/api", "platform/app.py", "ui", "plugins"),
    "sqlalchemy": (
        "platform/storage",
        "platform/fields",
        "platform/formulas",
        "platform/access",
        "platform/environment.py",
        "platform/packages",
        "platform/cli",
    ),
}


def sources(*rooms: str) -> list[Path]:
    return [p for room in rooms for p in sorted((ROOT / room).rglob("*.py")) if "node_modules" not in p.parts]


def imported(path: Path) -> Iterator[str]:
    """Modules a file imports when it runs (not those only for the type checker)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.unparse(guard.test)
        for node in ast.walk(guard)
    }
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["ratoon", "platform"] and len(parts) > 2 else None


@pytest.mark.parametrize("path", sources("platform"), ids=lambda p: str(p.relative_to(ROOT)))
def test_left_does_not_import_right(path: Path) -> None:
    room = path.relative_to(ROOT / "platform").parts[0].removesuffix(".py")
    place = ORDER.index(room)
    wrong = [m for m in imported(path) if (other := room_of(m)) is not None and ORDER.index(other) > place]
    assert not wrong, f"{room} may not import {wrong}"


def test_what_the_registry_holds_knows_nothing_of_how_it_is_compiled() -> None:
    room = ROOT / "platform" / "metadata"
    compiling = {"documents", "drafts", "report", "formulas", "compile", "collect", "behaviour"}
    for path in (room / "model.py", *sorted(room.glob("*_model.py"))):
        names = {m.removeprefix("ratoon.platform.metadata.") for m in imported(path) if "platform.metadata." in m}
        assert not names & compiling, f"{path.name} may not import {sorted(names & compiling)}"


@pytest.mark.parametrize("room", sorted(OUTER))
def test_outer_rooms_import_only_what_they_may(room: str) -> None:
    for path in sources(room):
        allowed = (*OUTER[room], f"ratoon.{room}")
        wrong = [m for m in imported(path) if m.startswith("ratoon.") and not m.startswith(allowed)]
        assert not wrong, f"{path.relative_to(ROOT)} may not import {wrong}"


@pytest.mark.parametrize("library", sorted(LIMITED))
def test_libraries_stay_in_their_rooms(library: str) -> None:
    for path in sources("platform", "objects", "plugins", "ui", "schemas"):
        where = str(path.relative_to(ROOT))
        if any(m == library or m.startswith(f"{library}.") for m in imported(path)):
            assert where.startswith(LIMITED[library]), f"{where} may not import {library}"


def test_the_platform_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_platform_contains_no_word_of_the_crm() -> None:
    words = ("opportunit", "contact_", "account.name", '"lead"', "campaign")
    for path in sources("platform"):
        strings = [
            node.value.lower()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
        ]
        found = [w for w in words if any(w.strip('"') == s for s in strings)]
        assert not found, f"{path.relative_to(ROOT)} knows {found}"
