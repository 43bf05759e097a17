"""Which permissions a change of metadata widens: what somebody may do afterwards and could not before.

Compared are the documents themselves, role by role: an object or action more, a field whose restriction went, a row
filter that went or reads differently. Whether another filter lets more rows through nobody can tell from its text, so a
changed one is listed too. A document of another kind that grants something (``GRANTS``) is listed when it is new or
changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ratoon.platform.errors import Text, say
from ratoon.platform.metadata.documents import Document

GRANTS = frozenset({"sharing", "permission_set", "access"})
"""Kinds of document, beside roles, that let somebody do something."""
FIELD_RIGHTS = ("read", "edit")


@dataclass(frozen=True, slots=True)
class Widening:
    """One thing that somebody may do from now on."""

    role: str
    """The role, or the kind and name of the document that grants it."""
    what: str
    """``pet: delete``"""
    message: Text

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return asdict(self)


def widenings(before: Iterable[Document], after: Iterable[Document]) -> tuple[Widening, ...]:
    """What the change grants."""
    old = {d.component: d for d in before}
    found: list[Widening] = []
    for document in sorted(after, key=lambda d: d.component):
        was = old.get(document.component)
        if was is not None and was.data == document.data:
            continue
        if document.kind == "role":
            found += _role(was.data if was is not None else {}, document.data)
        elif document.kind in GRANTS:
            name = ".".join(part for part in document.component[1:] if part)
            how = say("is new") if was is None else say("changed")
            message = say("The {kind} {name} {how}: see who gains by it.", kind=document.kind, name=name, how=how)
            found.append(Widening(f"{document.kind} {name}", how, message))
    return tuple(found)


def _role(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Widening]:
    role = str(now.get("name"))
    yield from _objects(role, was.get("objects", {}), now.get("objects", {}))
    yield from _fields(role, was, now)
    yield from _rows(role, was, now)
    for key in ("parent", "includes", "permission_sets"):
        if now.get(key) and was.get(key) != now.get(key):
            yield Widening(role, key, say("{role}: {key} is now {now}.", role=role, key=key, now=now[key]))


def _objects(role: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Widening]:
    for name in [n for n in now if n != "*"] + [n for n in now if n == "*"]:
        more = [right for right in now[name] if right not in was.get(name, was.get("*", ()))]
        if more:
            shown = say("every other object") if name == "*" else name
            yield Widening(
                role,
                f"{name}: {', '.join(more)}",
                say("{role} may {more} {shown}.", role=role, more=", ".join(more), shown=shown),
            )
    everywhere = now.get("*", ())
    for name in was:
        more = [right for right in everywhere if right not in was[name]] if name not in now else []
        if more:
            message = say(
                "{role} may {more} {name}, as any object that is not named.", role=role, more=", ".join(more), name=name
            )
            yield Widening(role, f"{name}: {', '.join(more)}", message)


def _fields(role: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Widening]:
    for name, rights in was.get("fields", {}).items():
        allowed = now.get("fields", {}).get(name, FIELD_RIGHTS)
        more = [right for right in allowed if right not in rights]
        if more and _reachable(now, name.partition(".")[0]):
            yield Widening(
                role,
                f"{name}: {', '.join(more)}",
                say("{role} may {more} the field {name}.", role=role, more=", ".join(more), name=name),
            )


def _rows(role: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Widening]:
    for name, formula in was.get("rows", {}).items():
        then = now.get("rows", {}).get(name)
        if then == formula or not _reachable(now, name):
            continue
        what = say("every record") if then is None else say("other records ({then})", then=then)
        yield Widening(
            role,
            f"{name}: rows",
            say(
                "{role} sees {what} of {name}; until now: {formula}.", role=role, what=what, name=name, formula=formula
            ),
        )


def _reachable(role: Mapping[str, Any], name: str) -> bool:
    rights = role.get("objects", {})
    return bool(rights.get(name, rights.get("*", ())))
