"""A scope out of a plain mapping: for tests, the command line and plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ratoon.platform.formulas.types import Name, Type


class Names:
    """Names with their types: ``Names({"amount": Type.NUMBER, "owner": Name("owner", Type.REFERENCE, users)})``."""

    def __init__(self, names: Mapping[str, Name | Type]) -> None:
        self._names = {
            key.lower(): value if isinstance(value, Name) else Name(key, value) for key, value in names.items()
        }
        self._shown = tuple(names)

    def name(self, name: str) -> Name | None:
        """What ``name`` means here."""
        return self._names.get(name.lower())

    def names(self) -> Iterable[str]:
        """Every name as given."""
        return self._shown


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
