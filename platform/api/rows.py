"""Records on their way out: compiled per list of keys, then straight into orjson.

A ``Writer`` belongs to one registry snapshot. For an object it knows which keys need a word of translation (decimals,
secrets …) and which orjson writes as they are, so that a record costs one loop over the few former.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson

from ratoon.platform.metadata.model import Registry
from ratoon.platform.records.reading import EXPANDED

OPTIONS = orjson.OPT_UTC_Z
Dumps = tuple[tuple[str, Callable[[Any], Any]], ...]


def json_default(value: Any) -> Any:
    """What orjson does not know by itself."""
    match value:
        case Decimal():
            return format(value, "f")
        case timedelta():
            return int(value.total_seconds())
        case set() | frozenset():
            return sorted(value)
        case Mapping():
            return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def to_json(value: Any) -> bytes:
    """Any value as JSON: numbers exact, moments in UTC with ``Z``."""
    return orjson.dumps(value, default=json_default, option=OPTIONS)


class Writer:
    """Writes the records of one registry snapshot."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._dumps: dict[str, Dumps] = {}
        self._earlier = registry.aliases.keys

    def ready(self, object: str, record: dict[str, Any]) -> dict[str, Any]:
        """The record with every value as orjson takes it; the dictionary is changed in place."""
        for key, dump in self._of(object):
            value = record.get(key)
            if value is not None:
                record[key] = dump(value)
        if EXPANDED in record:
            self._expanded(object, record)
        if object in self._earlier:
            self._also(object, record)
        return record

    def one(self, object: str, record: dict[str, Any]) -> bytes:
        """One record as JSON."""
        return orjson.dumps(self.ready(object, record), default=json_default, option=OPTIONS)

    def many(self, object: str, records: list[dict[str, Any]], **beside: Any) -> bytes:
        """``{"records": […], …}`` as JSON."""
        for key, dump in self._of(object):
            for record in records:
                value = record.get(key)
                if value is not None:
                    record[key] = dump(value)
        for record in records if records and EXPANDED in records[0] else ():
            self._expanded(object, record)
        for record in records if object in self._earlier else ():
            self._also(object, record)
        return orjson.dumps({"records": records, **beside}, default=json_default, option=OPTIONS)

    def _also(self, object: str, record: dict[str, Any]) -> None:
        """Renamed fields have their value under the earlier name too, as long as that is declared."""
        for old, new in self._earlier[object].items():
            if new in record:
                record[old] = record[new]

    def _expanded(self, object: str, record: dict[str, Any]) -> None:
        for name, target in record[EXPANDED].items():
            if target is not None:
                field = self.registry[object].fields[name]
                kind = field.targets[0] if len(field.parts) == 1 else record[field.parts[1].key]
                record[EXPANDED][name] = self.ready(kind, dict(target))

    def _of(self, object: str) -> Dumps:
        known = self._dumps.get(object)
        if known is None:
            parts = self.registry[object].parts.values()
            known = self._dumps[object] = tuple((part.key, part.dump) for part in parts if part.dump is not None)
        return known
