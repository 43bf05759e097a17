"""Columns that were put aside and come back: which one holds the values of a key in the type it will have.

A field that returns finds the column it left. A rollback of a change of type takes the values as they were then,
along the columns put aside since, newest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.types import TypeEngine

from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.storage.kept import Kept, chain_of, part_of
from ratoon.platform.storage.retyping import Step
from ratoon.platform.storage.statements import sql_dialect
from ratoon.platform.storage.tables import checked_references


def signature(registry: Registry, obj: Object, key: str, dialect: str) -> str:
    """What tells the column of a key from one of another type, as ``ratoon_kept`` has it."""
    kind = obj.parts[key].sql
    target = targets_of(registry, obj).get(key)
    shown = "" if kind is None else repr(column_signature(kind, sql_dialect(dialect)))
    return shown if target is None else f"{shown} -> {target}"


def column_signature(kind: TypeEngine[object], types: Any) -> tuple[object, ...]:
    """What tells a type of column from another one on a dialect."""
    scale = kind.scale if isinstance(kind, ExactDecimal) else None
    return type(kind).__name__, scale, kind.compile(types)


def targets_of(registry: Registry, obj: Object) -> dict[str, str]:
    """Key → object, for the lookups that a foreign key stands on."""
    return {field.name: field.targets[0] for field in checked_references(registry, obj)}


class Returning:
    """What a database keeps beside, for one change of the metadata: ``since`` is the revision that a rollback goes back
    to, ``types`` say how to read columns that were put aside later."""

    def __init__(
        self, after: Registry, dialect: str, kept: Sequence[Kept], since: int | None, types: FieldTypes | None
    ) -> None:
        self._after = after
        self._dialect = dialect
        self._kept = kept
        self._since = since
        self._types = types

    def column(self, kind: str, new: Object, key: str) -> Kept | None:
        """The column put aside that holds this key's values in the type it will have."""
        wanted = signature(self._after, new, key, self._dialect)
        fitting = [
            e for e in self._kept if e.kind == kind and (e.object, e.key, e.signature) == (new.name, key, wanted)
        ]
        if self._since is None:
            return fitting[0] if fitting and kind == "removed" else None
        later = [entry for entry in fitting if entry.revision > self._since]
        return later[-1] if later else fitting[0] if fitting and kind == "removed" else None

    def chain(self, new: Object, key: str) -> tuple[Step, ...]:
        """The columns put aside since the revision that a rollback goes back to, newest first."""
        if self._since is None or self._types is None:
            return ()
        mine = [e for e in self._kept if e.kind == "retyped" and (e.object, e.key) == (new.name, key)]
        later = [entry for entry in mine if entry.revision > self._since]
        steps = self._steps(later, {entry.column: entry for entry in mine})
        fits = steps and steps[-1].signature == signature(self._after, new, key, self._dialect)
        return tuple(steps) if fits and len(steps) == len(later) else ()

    def _steps(self, entries: Sequence[Kept], known: Mapping[str, Kept]) -> list[Step]:
        """The columns as steps of a way back; none from the first on of which nothing is known any more."""
        assert self._types is not None
        found: list[Step] = []
        for entry in entries:
            part, names = part_of(entry, self._types), chain_of(entry)
            inner = self._steps([known[name] for name in names if name in known], known)
            if part is None or len(inner) != len(names):
                break
            found.append(Step(entry.column, part, entry.signature, tuple(inner)))
        return found
