"""Earlier names that the API still answers to, as the registry holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Aliases:
    """Old name → name now."""

    objects: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: NOTHING)
    """Object → record key → record key."""
    values: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=lambda: NOTHING)
    """Object → record key → value → value."""

    def object(self, name: str) -> str:
        """The object's name now."""
        return self.objects.get(name, name)

    def key(self, object: str, key: str) -> str:
        """The key's name now."""
        return self.keys.get(object, NOTHING).get(key, key)

    def current(self, object: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values of a record under the names of now; given under both names, the new one counts."""
        keys, choices = self.keys.get(object), self.values.get(object)
        if keys:
            renamed = {keys[key]: value for key, value in values.items() if key in keys and keys[key] not in values}
            values = {**{key: value for key, value in values.items() if key not in keys}, **renamed}
        if choices:
            values = {key: _chosen(choices.get(key), value) for key, value in values.items()}
        return values


def _chosen(known: Mapping[str, str] | None, value: Any) -> Any:
    if not known:
        return value
    if isinstance(value, list):
        return [known.get(item, item) if isinstance(item, str) else item for item in value]
    return known.get(value, value) if isinstance(value, str) else value
