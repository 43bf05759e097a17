"""Keeps the translation catalogs complete: finds every text that a person can see and brings it into the .po files.

Run ``python ui/catalog.py`` after changing a text; it adds what is new (untranslated, which a test refuses), drops what
is gone, and reports. Texts come from three places: ``_()`` and ``ngettext()`` in this room and its templates, the
message templates of the platform's errors and problems (first or second argument of the calls in ``MESSAGES``, and
string constants named ``message``), and the words that field types and operators are shown with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOM = Path(__file__).resolve().parent
PLATFORM = ROOM.parent / "platform"
LOCALES = ("zh_Hans", "zh_Hant")
MESSAGES = {
    "NotFound": 0,
    "Forbidden": 0,
    "BadRequest": 0,
    "BadBody": 0,
    "BadSetting": 0,
    "BodyTooLarge": 0,
    "CsrfRefused": 0,
    "DuplicateKey": 0,
    "KeyReused": 0,
    "MethodNotAllowed": 0,
    "Unauthenticated": 0,
    "UnknownParameter": 0,
    "UnsupportedMediaType": 0,
    "Conflict": 0,
    "DataRefuses": 0,
    "Destructive": 0,
    "Drifted": 0,
    "Locked": 0,
    "PluginFailed": 0,
    "SecretKeyMissing": 0,
    "SecretKeyWrong": 0,
    "Unreachable": 0,
    "GiveUp": 0,
    "TemplateFailed": 0,
    "Undelivered": 0,
    "Busy": 0,
    "Stale": 0,
    "LoopStopped": 0,
    "BudgetSpent": 0,
    "Problem": 1,
    "Invalid": 1,
    "FormulaError": 1,
    "fail": 1,
    "refuse": 1,
    "_reason": 1,
    "unknown": 1,
    "refused": 1,
    "TooMany": 0,
    "say": 0,
    "tell": 0,
    "__init__": 0,
}
"""Call → place of the argument that is a message template."""
_PLACE = re.compile(r"\{\w+\}")
_SAYS = re.compile(r"[A-Za-z]{2}|[:,;.]")

Message = str | tuple[str, str]
"""A text, or its singular and plural."""


def messages() -> set[Message]:
    """Every text to translate."""
    return {*_of_this_room(), *_of_the_platform(), *_of_the_types(), *_of_the_api()}


def _of_this_room() -> Iterator[Message]:
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
    for method, files in (
        ("python", ROOM.glob("*.py")),
        ("jinja2.ext:babel_extract", ROOM.glob("templates/**/*.html")),
    ):
        for file in sorted(files):
            if file.name == "catalog.py":
                continue
            with file.open("rb") as source:
                for _line, message, _comments, _context in extract(method, source, keywords):
                    yield message if isinstance(message, str) else (message[0], message[1])
            if method == "python":
                yield from _constants(file)


def _of_the_platform() -> Iterator[str]:
    for file in sorted(PLATFORM.rglob("*.py")):
        yield from _constants(file)


def _constants(file: Path) -> Iterator[str]:
    """Message templates in a Python file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = MESSAGES.get(name)
            if place is not None and len(node.args) > place:
                yield from _texts(node.args[place], one_word=name in ("say", "tell"))
            elif name == "count":
                yield from _counted(*(a.value for a in node.args[1:] if isinstance(a, ast.Constant)))
        elif isinstance(node, ast.Assign | ast.AugAssign):
            target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
            if getattr(target, "id", "") in ("message", "MESSAGES", "AT_CHARACTER"):
                yield from _texts(node.value)


def _texts(node: ast.expr, *, one_word: bool = False) -> Iterator[str]:
    """The string constants that an expression may be; a sum or a choice has several."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if _SAYS.search(_PLACE.sub("", node.value)) and (one_word or " " in node.value.strip()):
            yield node.value
    elif isinstance(node, ast.BinOp):
        yield from _texts(node.left, one_word=one_word)
        yield from _texts(node.right, one_word=one_word)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, one_word=one_word)
        yield from _texts(node.orelse, one_word=one_word)


def _counted(*words: Any) -> Iterator[str]:
    """What ``count(number, one, many)`` of the command line says."""
    if words and all(isinstance(word, str) for word in words):
        one, *many = words
        yield from (one, *(many or [f"{one}s"]))


def _of_the_types() -> Iterator[str]:
    from ratoon.platform.fields import builtin_types
    from ratoon.platform.fields.base import OPERATORS, FieldSpec
    from ratoon.platform.fields.refusals import REFUSALS
    from ratoon.platform.formulas.explain import TEMPLATES
    from ratoon.platform.formulas.refusing import SUGGESTING
    from ratoon.platform.metadata.system_fields import system_fields
    from ratoon.ui.forms import STAND_INS

    types = builtin_types()
    yield from STAND_INS
    yield from OPERATORS.values()
    yield from REFUSALS.values()
    yield from TEMPLATES
    yield from SUGGESTING.values()
    for field in system_fields(types):
        yield field.spec.label
    for kind in types:
        yield from (part.label for part in kind.parts(FieldSpec("x", kind.name, "x", targets=("x",))) if part.label)


def _of_the_api() -> Iterator[str]:
    from ratoon.platform.api.openapi import CONVENTIONS
    from ratoon.platform.api.problems import STATUS
    from ratoon.platform.cli.speaking import SEVERITIES

    yield from CONVENTIONS
    yield from SEVERITIES
    yield "{number} {things}"
    yield from (title for _, title in STATUS.values())


def update(locale: str) -> tuple[int, int]:
    """Brings one catalog up to date; returns (texts, untranslated texts)."""
    file = ROOM / "translations" / locale / "LC_MESSAGES" / "messages.po"
    old = read(locale)
    fresh = Catalog(locale=locale, project="Ratoon", version="1", charset="utf-8", fuzzy=False)
    for message in sorted(messages(), key=str):
        single = message if isinstance(message, str) else message[0]
        known = old.get(single) if old else None
        fresh.add(message, string=known.string if known else None)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as target:
        write_po(target, fresh, width=0, omit_header=False, sort_output=True, no_location=True)
    return len(fresh), len(untranslated(fresh))


def untranslated(catalog: Catalog) -> list[str]:
    """The texts of a catalog that have no translation."""
    return [str(m.id) for m in catalog if m.id and not any(_strings(m.string))]


def read(locale: str) -> Catalog | None:
    """The catalog of a locale as it is committed."""
    file = ROOM / "translations" / locale / "LC_MESSAGES" / "messages.po"
    if not file.exists():
        return None
    with file.open("rb") as source:
        return read_po(source, locale=locale)


def _strings(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ())


if __name__ == "__main__":
    for each in LOCALES:
        total, missing = update(each)
        print(f"{each}: {total} texts, {missing} not translated")
