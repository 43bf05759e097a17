"""The functions and operators that every formula may use: one module per subject, put together here."""

from __future__ import annotations

import functools

from ratoon.platform.formulas import (
    aggregates,
    conversions,
    dates,
    durations,
    logic,
    money,
    numbers,
    operators,
    picklists,
    texts,
)
from ratoon.platform.formulas.functions import FunctionSet


@functools.cache
def builtin_functions() -> FunctionSet:
    """What every formula may use."""
    rooms = (operators, logic, texts, conversions, numbers, dates, durations, picklists, aggregates, money)
    return FunctionSet.of(function for room in rooms for function in room.FUNCTIONS)
