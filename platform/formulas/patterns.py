"""Regular expressions that end: patterns are refused that could take exponential time, and so are long texts.

Python's engine backtracks, and a pattern such as ``(a+)+b`` can run for years on a short text. ``matches`` therefore
takes only patterns without a repeat inside a repeat (or alternatives inside one) that can match the same text in two
ways, and texts up to ``MAX_TEXT`` characters.
"""

from __future__ import annotations

import functools
import re
import warnings
from re import _constants as sre
from re import _parser
from typing import Any

from ratoon.platform.errors import FormulaError

MAX_PATTERN = 1_000
MAX_TEXT = 10_000
MAX_WIDE_REPEATS = 2
"""Unbounded repeats in a row over long texts cost length to their power; more than this needs a short text."""
SHORT_TEXT = 400
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def matches(pattern: str, text: str) -> bool:
    """True when the whole text fits. Raises ``FormulaError`` (bad_pattern, slow_pattern, text_too_long)."""
    compiled, wide = compile_pattern(pattern)
    if len(text) > (MAX_TEXT if wide <= MAX_WIDE_REPEATS else SHORT_TEXT):
        raise FormulaError("text_too_long", "The text is too long for this regular expression")
    return compiled.fullmatch(text) is not None


@functools.lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> tuple[re.Pattern[str], int]:
    """The compiled pattern and how many unbounded repeats it has."""
    if len(pattern) > MAX_PATTERN:
        raise FormulaError("slow_pattern", "The regular expression is longer than {most} characters", most=MAX_PATTERN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parser.parse(pattern)
            wide = _unbounded(tree, inside=False)
            return re.compile(pattern), wide
    except (re.error, OverflowError, RecursionError) as error:
        raise FormulaError("bad_pattern", "This is not a regular expression: {reason}", reason=str(error)) from None


def _unbounded(tree: Any, *, inside: bool) -> int:
    """Counts repeats without (or with a wide) limit; refuses one inside another."""
    count = 0
    for op, value in tree:
        if op in _REPEATS:
            least, most, body = value
            wide = most == sre.MAXREPEAT or most - least > 64
            if inside and (most != least):
                raise FormulaError("slow_pattern", "A repeat inside a repeat can take forever; write it without")
            count += wide + _unbounded(body, inside=inside or wide or most > 8)
        elif op is sre.BRANCH:
            if inside:
                _refuse_overlapping(value[1])
            count += sum(_unbounded(branch, inside=inside) for branch in value[1])
        elif op is sre.SUBPATTERN:
            count += _unbounded(value[-1], inside=inside)
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            count += _unbounded(value[1], inside=inside)
        elif op is sre.GROUPREF or op is sre.GROUPREF_EXISTS:
            count += 1
    return count


def _refuse_overlapping(branches: Any) -> None:
    firsts = [str(branch[0]) if len(branch) else "" for branch in branches]
    simple = all(len(branch) and branch[0][0] is sre.LITERAL for branch in branches)
    if not simple or len(set(firsts)) != len(firsts):
        raise FormulaError("slow_pattern", "Alternatives inside a repeat can take forever; write them as [ … ]")
