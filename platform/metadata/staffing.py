"""Lists of people in documents: roles looked up, formulas compiled, what gives no user refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.people import Kind, Person
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.scope import ObjectScope


def compile_people(
    document: Document,
    path: Path,
    items: Sequence[Mapping[str, Any]],
    scope: ObjectScope,
    roles: Iterable[str],
    formulas: Formulas,
    report: Report,
) -> tuple[Person, ...]:
    """The entries of a list; what does not fit is reported and left out."""
    known = set(roles)
    found = []
    for i, item in enumerate(items):
        for kind, value in item.items():
            at = (*path, i, kind)
            if kind == "role" and value not in known:
                report.add(
                    document,
                    at,
                    "unknown_role",
                    say("There is no role {role}.", role=repr(value)),
                    suggestion(value, known, say("roles")),
                )
            elif kind in ("role", "user"):
                found.append(Person("role" if kind == "role" else "user", value))
            else:
                formula = formulas.compile(document, at, value, scope, None)
                if formula is None:
                    continue
                fits = (Type.REFERENCE,) if kind != "formula" else (Type.REFERENCE, Type.TEXT)
                if formula.type not in fits:
                    message = (
                        say("This must give a user.")
                        if kind != "formula"
                        else say("This must give a user's id or address.")
                    )
                    report.add(document, at, "wrong_type", message, say('for example "owner"'))
                    continue
                made: Kind = "field" if kind == "field" else "manager_of" if kind == "manager_of" else "formula"
                found.append(Person(made, value, formula))
    return tuple(found)
