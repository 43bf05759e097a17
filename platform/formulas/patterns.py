"""Regular expressions that end in time.

Python's engine backtracks, and a pattern such as ``(a+)+b`` can run for years on a short text. Patterns with a repeat
inside a repeat, overlapping alternatives inside one, or several wide repeats in a row therefore run on an automaton
(``automaton.py``), whose time does not depend on the pattern; all others run on Python's engine, which is faster.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from re import _constants as sre
from re import _parser
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.automaton import NotLinear, compile_automaton, run, translate

MAX_PATTERN = 1_000
MAX_TEXT = 32_000
MAX_WIDE_REPEATS = 1
"""Unlimited repeats that Python's engine may have: two cost the square of the text's length."""
WIDE = 16
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def matches(pattern: str, text: str) -> bool:
    """True when the whole text fits. Raises ``FormulaError`` (bad_pattern, slow_pattern, text_too_long)."""
    if len(text) > MAX_TEXT:
        raise FormulaError("text_too_long", "The text is too long for a regular expression")
    return compile_pattern(pattern)(text)


@functools.lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """What tells whether a whole text fits the pattern. Raises ``FormulaError`` (bad_pattern, slow_pattern)."""
    tree = parse_pattern(pattern)
    if _simple(tree, inside=False) <= MAX_WIDE_REPEATS:
        compiled = re.compile(pattern)
        return lambda text: compiled.fullmatch(text) is not None
    try:
        program = compile_automaton(tree)
    except NotLinear:
        raise _slow() from None

    def walk(text: str) -> bool:
        answer = run(program, text)
        if answer is None:
            raise _slow()
        return answer

    return walk


def parse_pattern(pattern: str) -> Any:
    """The parsed pattern. Raises ``FormulaError`` (bad_pattern, slow_pattern)."""
    if len(pattern) > MAX_PATTERN:
        raise FormulaError("slow_pattern", "The regular expression is longer than {most} characters", most=MAX_PATTERN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise FormulaError("bad_pattern", "This is not a regular expression: {reason}", reason=str(error)) from None


def for_postgresql(pattern: str) -> str | None:
    """The pattern in PostgreSQL's dialect, for the whole text; ``None`` when it cannot be said there."""
    try:
        tree = parse_pattern(pattern)
        return f"^(?:{translate(tree)})$" if not tree.state.flags & ~re.UNICODE else None
    except (NotLinear, FormulaError):
        return None


def _slow() -> FormulaError:
    return FormulaError("slow_pattern", "This regular expression can take too long")


def _simple(tree: Any, *, inside: bool) -> int:
    """How many wide repeats a backtracking engine would have to multiply; a big number for one inside another."""
    count = 0
    for op, value in tree:
        if op in _REPEATS:
            least, most, body = value
            wide = most == sre.MAXREPEAT or most - least > WIDE
            nested = inside and most != least
            count += 100 * nested + wide + _simple(body, inside=inside or wide or most > 4)
        elif op is sre.BRANCH:
            count += 100 * inside + max(_simple(branch, inside=inside) for branch in value[1])
        elif op is sre.SUBPATTERN:
            count += _simple(value[-1], inside=inside)
        elif op in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN, sre.AT):
            continue
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            count += 100 * inside + _simple(value[1], inside=inside)
        else:
            count += 100
    return count
