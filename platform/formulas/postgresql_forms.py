"""All PostgreSQL forms of built-in functions and operators by overload, and when each fails in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ratoon.platform.formulas import postgresql_dates, postgresql_numbers, postgresql_texts
from ratoon.platform.formulas.sql import Sql

FORMS: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {**postgresql_numbers.FORMS, **postgresql_texts.FORMS, **postgresql_dates.FORMS}
)
FAILURES: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {**postgresql_numbers.FAILURES, **postgresql_texts.FAILURES, **postgresql_dates.FAILURES}
)
