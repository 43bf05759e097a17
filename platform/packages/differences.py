"""What changed between two sets of documents: components added, changed and removed, field by field.

Lists whose items have a ``name`` (fields, rules, stages, sections), a ``value`` (picklists) or a ``locale`` are
compared item by item under that name, so that one new field reads as one line, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ratoon.platform.metadata.documents import Document

Action = Literal["added", "changed", "removed", "renamed"]
_IGNORED = frozenset({"$schema", "kind"})
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Detail:
    """One difference inside a component."""

    action: Action
    path: str
    """``fields.born_on.required``"""
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """A component that was added, changed or removed."""

    action: Action
    kind: str
    name: str
    """``pet``, ``pet.open`` (a view of pet) …"""
    package: str
    file: str
    details: tuple[Detail, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return asdict(self)


def component_changes(before: Iterable[Document], after: Iterable[Document]) -> tuple[ComponentChange, ...]:
    """What turns the one set of documents into the other, by package and file."""
    old = {(d.package, d.file): d for d in before}
    new = {(d.package, d.file): d for d in after}
    found = []
    for place in sorted(old.keys() | new.keys()):
        was, now = old.get(place), new.get(place)
        if was is None and now is not None:
            found.append(_change("added", now, tuple(_new_parts(now))))
        elif now is None and was is not None:
            found.append(_change("removed", was))
        elif was is not None and now is not None and was.data != now.data:
            found.append(_change("changed", now, tuple(differences(was.data, now.data))))
    return tuple(found)


def _change(action: Action, document: Document, details: tuple[Detail, ...] = ()) -> ComponentChange:
    _, object_name, name = document.component
    shown = ".".join(part for part in (object_name, name) if part)
    return ComponentChange(action, document.kind, shown, document.package, document.file, details)


def _new_parts(document: Document) -> Iterator[Detail]:
    """The fields, rules and stages of a new component, so that a plan shows more than its name."""
    for group in ("fields", "rules", "stages"):
        for item in document.data.get(group, ()):
            if isinstance(item, Mapping) and "name" in item:
                yield Detail("added", f"{group}.{item['name']}", None, item.get("type"))


def differences(before: Any, after: Any, path: str = "") -> Iterator[Detail]:
    """Every difference of two JSON values, with its path."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in _keys(before, after):
            if path or key not in _IGNORED:
                yield from _compare(before.get(key, _MISSING), after.get(key, _MISSING), f"{path}.{key}".lstrip("."))
        return
    identity = _identity(before, after)
    if identity is None:
        yield Detail("changed", path, before, after)
        return
    old = {item[identity]: item for item in before}
    new = {item[identity]: item for item in after}
    for name in _keys(old, new):
        yield from _compare(old.get(name, _MISSING), new.get(name, _MISSING), f"{path}.{name}")
    kept_before = [name for name in old if name in new]
    kept_after = [name for name in new if name in old]
    if kept_before != kept_after:
        yield Detail("changed", f"{path} (order)", kept_before, kept_after)


def _keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*before, *after]))


def _compare(was: Any, now: Any, path: str) -> Iterator[Detail]:
    if was is _MISSING:
        yield Detail("added", path, None, now)
    elif now is _MISSING:
        yield Detail("removed", path, was)
    else:
        yield from differences(was, now, path)


def _identity(before: Any, after: Any) -> str | None:
    """The key that tells the items of two lists apart; ``None`` when they are no lists of that kind."""
    if not isinstance(before, Sequence) or not isinstance(after, Sequence):
        return None
    items = [*before, *after]
    if isinstance(before, str) or isinstance(after, str) or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in ("name", "value"):
        if all(isinstance(item.get(key), str) for item in items):
            if len({i[key] for i in before}) == len(before) and len({i[key] for i in after}) == len(after):
                return key
            return None
    return None
