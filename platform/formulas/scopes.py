"""A scope out of a plain mapping: for tests, the command line and plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ratoon.platform.formulas.types import Name, Scope, Type


class Names:
    """Names with their types: ``Names({"amount": Type.NUMBER, "owner": Name("owner", Type.REFERENCE, users)})``.

    ``related`` are relationships: name → (key such as ``line@bill``, the names of the related records).
    """

    def __init__(
        self, names: Mapping[str, Name | Type], related: Mapping[str, tuple[str, Scope]] | None = None
    ) -> None:
        made = {key.lower(): value if isinstance(value, Name) else Name(key, value) for key, value in names.items()}
        self._names = {key: name for key, name in made.items() if not name.many}
        self._shown = tuple(key for key in names if key.lower() in self._names)
        self._related = {
            name.lower(): Name(key, Type.REFERENCE, scope, many=True) for name, (key, scope) in (related or {}).items()
        } | {key: name for key, name in made.items() if name.many}

    def name(self, name: str) -> Name | None:
        """What ``name`` means here."""
        return self._names.get(name.lower())

    def names(self) -> Iterable[str]:
        """Every name as given."""
        return self._shown

    def related(self, name: str) -> Name | None:
        """What ``name`` means as a relationship."""
        return self._related.get(name.lower())

    def related_names(self) -> Iterable[str]:
        """The relationships there are."""
        return tuple(self._related)


def dotted(names: Mapping[str, Name]) -> Names:
    """A scope out of names with dots: ``account.name`` makes ``account`` a reference to a record with a ``name``."""
    here: dict[str, Name] = {}
    inside: dict[str, dict[str, Name]] = {}
    for key, name in names.items():
        first, _, rest = key.partition(".")
        if rest:
            inside.setdefault(first, {})[rest] = name
        else:
            here[key] = name
    for first, more in inside.items():
        target = dotted({rest: replace(name, key=rest.rpartition(".")[2]) for rest, name in more.items()})
        here[first] = Name(first, Type.REFERENCE, target)
    return Names(here)
