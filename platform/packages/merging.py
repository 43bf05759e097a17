"""Three-way merge of documents: the package as it was applied last (base), as it stands here (ours), and its new
version (theirs).

What only one side changed is taken from that side; what both changed the same way is taken once; what they changed
differently is a ``Disagreement``. Documents are merged component by component and inside them: objects key by key,
lists of named things (fields, rules, stages, values) by name, lists of words as ordered sets, anything else as a whole.
The order of a list is merged too. The result does not depend on which side is called ours.

A disagreement is settled by a ``Resolution`` (of a file, see ``read_resolutions``) or by preferring one side. One that
is not settled keeps the base in the provisional result, and whoever plans refuses it: a local edit never goes in
silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ratoon.platform.errors import BadRequest
from ratoon.platform.errors import Conflict as Refused
from ratoon.platform.metadata.documents import Document, in_order
from ratoon.platform.metadata.parsing import escape

Side = Literal["ours", "theirs", "base"]
ORDER = "(order)"
"""The last step of the path of a disagreement about the order of a list."""
_WHOLE = frozenset({"sort", "$schema"})
"""Keys whose value only has a meaning as a whole."""


class _Absent:
    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        return False


ABSENT: Final[Any] = _Absent()
"""Stands for a value that is not there."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A place that both sides changed, differently."""

    package: str
    file: str
    path: str
    """``/fields/weight/max``: a pointer in which the items of lists go by their names; empty = the document."""
    base: Any
    ours: Any
    theirs: Any

    @property
    def place(self) -> tuple[str, str, str]:
        """What a resolution refers to."""
        return self.package, self.file, self.path

    def as_json(self) -> dict[str, Any]:
        """The place and the three values; a key is left out where there is no value."""
        shown = {"package": self.package, "file": self.file, "path": self.path}
        sides = {"base": self.base, "theirs": self.theirs, "ours": self.ours}
        return {**shown, **{name: value for name, value in sides.items() if value is not ABSENT}}


@dataclass(frozen=True, slots=True)
class Resolution:
    """How one disagreement is settled: by a side, or by a value of its own."""

    take: Side | None
    value: Any = ABSENT
    ours: Any = ABSENT
    theirs: Any = ABSENT


class MergeConflict(Refused):
    """Both the new version and local edits changed the same places; ``disagreements`` says which."""

    code = "merge_conflict"

    def __init__(self, disagreements: Sequence[Disagreement]) -> None:
        places = "; ".join(f"{d.file}{d.path}" for d in disagreements[:10])
        message = "{count} place(s) were changed both here and in the new version: {places}. Say which to take."
        super().__init__(message, count=len(disagreements), places=places)
        self.disagreements = tuple(disagreements)


@dataclass(frozen=True)
class Choices:
    """How disagreements are settled."""

    by_place: Mapping[tuple[str, str, str], Resolution] = field(default_factory=dict)
    prefer: Side | None = None
    """For those without a resolution of their own; ``None`` leaves them open."""

    def settle(self, found: Disagreement) -> Any:
        """The value to take; raises ``KeyError`` when nobody said. A resolution that was written for other values does
        not count."""
        said = self.by_place.get(found.place)
        if said is not None and _same(said.ours, found.ours) and _same(said.theirs, found.theirs):
            if said.value is not ABSENT:
                return said.value
            if said.take is not None:
                return getattr(found, said.take)
        if self.prefer is None:
            raise KeyError(found.place)
        return getattr(found, self.prefer)


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge."""

    documents: tuple[Document, ...]
    open: tuple[Disagreement, ...]
    """Not settled: the result has the base there."""
    settled: tuple[Disagreement, ...]


def merge_documents(
    base: Iterable[Document], ours: Iterable[Document], theirs: Iterable[Document], choices: Choices | None = None
) -> Merged:
    """Merges sets of documents, each found by package and file."""
    sides = [{(d.package, d.file): d for d in side} for side in (base, ours, theirs)]
    open_: list[Disagreement] = []
    settled: list[Disagreement] = []
    documents: list[Document] = []
    for package, file in sorted({place for side in sides for place in side}):
        found = [side.get((package, file)) for side in sides]
        merge = _Merge(package, file, choices or Choices(), open_, settled)
        data = merge.value(*(ABSENT if d is None else d.data for d in found), path=())
        if data is not ABSENT:
            kind = next(d.kind for d in found if d is not None)
            documents.append(Document(file, str(data.get("kind", kind)), data, package))
    # By place, not by which side was walked first: it must not matter which side is ours.
    in_place = [tuple(sorted(found, key=lambda one: one.place)) for found in (open_, settled)]
    return Merged(tuple(in_order(documents)), *in_place)


def merge_values(base: Any, ours: Any, theirs: Any, choices: Choices | None = None) -> tuple[Any, list[Disagreement]]:
    """Merges three JSON values; gives the result and what is open."""
    open_: list[Disagreement] = []
    merge = _Merge("", "", choices or Choices(), open_, [])
    return merge.value(base, ours, theirs, path=()), open_


def read_resolutions(data: Any) -> dict[tuple[str, str, str], Resolution]:
    """Resolutions as a file gives them: ``{"conflicts": [{"package", "file", "path", "base", "theirs", "ours", "take":
    "ours" | "theirs" | "base"}]}``, or ``"value": …`` instead of ``take``. What says neither is left open.

    Raises ``BadRequest`` for another shape.
    """
    items = data.get("conflicts") if isinstance(data, Mapping) else data
    if not isinstance(items, list):
        raise BadRequest('Resolutions are {"conflicts": [{"file": …, "path": …, "take": "ours"}]}.', field="resolve")
    found: dict[tuple[str, str, str], Resolution] = {}
    for item in items:
        if not isinstance(item, Mapping) or not isinstance(item.get("file"), str):
            raise BadRequest("A resolution names the file and the path of its conflict.", field="resolve")
        take = item.get("take")
        if take not in (None, "ours", "theirs", "base"):
            raise BadRequest("take is ours, theirs or base, not {take}.", field="resolve", take=repr(take))
        place = str(item.get("package", "")), item["file"], str(item.get("path", ""))
        values = {key: item.get(key, ABSENT) for key in ("value", "ours", "theirs")}
        found[place] = Resolution(take, **values)
    return found


class _Merge:
    """The merge of one document."""

    def __init__(
        self,
        package: str,
        file: str,
        choices: Choices,
        open_: list[Disagreement],
        settled: list[Disagreement],
    ) -> None:
        self._package = package
        self._file = file
        self._choices = choices
        self._open = open_
        self._settled = settled

    def value(self, base: Any, ours: Any, theirs: Any, *, path: tuple[str, ...]) -> Any:
        """The merged value; ``ABSENT`` when it goes."""
        if _same(ours, theirs) or _same(base, theirs):
            return ours
        if _same(base, ours):
            return theirs
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping) and isinstance(base, (Mapping, _Absent)):
            return self._mapping(base if isinstance(base, Mapping) else {}, ours, theirs, path)
        if isinstance(ours, list) and isinstance(theirs, list) and isinstance(base, (list, _Absent)):
            sides = (base if isinstance(base, list) else [], ours, theirs)
            named = None if path and path[-1] in _WHOLE else _by_name(sides)
            if named is not None:
                return self._list(*named, path=path)
        return self._differ(base, ours, theirs, path, base)

    def _mapping(
        self, base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any], path: tuple[str, ...]
    ) -> dict[str, Any]:
        made = {}
        for key in sorted({*base, *ours, *theirs}):
            value = self.value(*(side.get(key, ABSENT) for side in (base, ours, theirs)), path=(*path, key))
            if value is not ABSENT:
                made[key] = value
        return made

    def _list(
        self, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], *, path: tuple[str, ...]
    ) -> Any:
        kept = {}
        for name in dict.fromkeys([*base, *ours, *theirs]):
            value = self.value(*(side.get(name, ABSENT) for side in (base, ours, theirs)), path=(*path, name))
            if value is not ABSENT:
                kept[name] = value
        orders = [[name for name in side if name in kept] for side in (base, ours, theirs)]
        return [kept[name] for name in self._order(*orders, path=path)]

    def _order(self, base: list[str], ours: list[str], theirs: list[str], *, path: tuple[str, ...]) -> list[str]:
        """The names in the order that follows from the three orders."""
        both = set(ours) & set(theirs)
        mine, other = [n for n in ours if n in both], [n for n in theirs if n in both]
        before = [n for n in base if n in both]
        known = set(before)
        mine_moved = [n for n in mine if n in known] != before
        other_moved = [n for n in other if n in known] != before
        if mine == other or (mine_moved and not other_moved):
            main = mine
        elif other_moved and not mine_moved:
            main = other
        elif not mine_moved:
            main = min(mine, other)
        else:
            main = self._differ(before, mine, other, (*path, ORDER), min(mine, other))
            main = [n for n in main if n in both] if set(main) >= both else min(mine, other)
        after: dict[str | None, list[list[str]]] = {}
        for side in (ours, theirs):
            here: str | None = None
            added: dict[str | None, list[str]] = {}
            for name in side:
                if name in both:
                    here = name
                else:
                    added.setdefault(here, []).append(name)
            for anchor, names in added.items():
                after.setdefault(anchor, []).append(names)
        found: list[str] = []
        for anchor in (None, *main):
            found += [] if anchor is None else [anchor]
            found += [name for names in sorted(after.get(anchor, ())) for name in names]
        return [*found, *(n for n in base if n not in found)]

    def _differ(self, base: Any, ours: Any, theirs: Any, path: tuple[str, ...], otherwise: Any) -> Any:
        if path and path[-1] == "$schema":
            return max(str(ours), str(theirs))
        pointer = "".join("/" + escape(step) for step in path)
        found = Disagreement(self._package, self._file, pointer, base, ours, theirs)
        try:
            value = self._choices.settle(found)
        except KeyError:
            self._open.append(found)
            return otherwise
        self._settled.append(found)
        return value


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: ``true`` is not 1."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return one is other or (one == other and _text(one) == _text(other))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _by_name(sides: Sequence[list[Any]]) -> list[dict[str, Any]] | None:
    """The lists as mappings by what tells their items apart; ``None`` when nothing does."""
    items = [item for side in sides for item in side]
    if all(isinstance(item, str) for item in items):
        named = [{item: item for item in side} for side in sides]
        return named if all(len(n) == len(side) for n, side in zip(named, sides, strict=True)) else None
    for key in ("name", "value"):
        if all(isinstance(item, Mapping) and isinstance(item.get(key), str) for item in items):
            named = [{item[key]: item for item in side} for side in sides]
            if all(len(n) == len(side) for n, side in zip(named, sides, strict=True)):
                return named
    return None
