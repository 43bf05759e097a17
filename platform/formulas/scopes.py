"""A scope out of a plain mapping: for tests, the command line and plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ratoon.platform.formulas.types import Name, Scope, Type


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


def _is_scope(names: Names) -> Scope:
    return names
