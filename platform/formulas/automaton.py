"""Regular expressions in linear time, for patterns that would be dangerous in a backtracking engine.

The parsed pattern becomes a small program of character tests, splits and jumps, and all its threads walk over the text
together: the time is length × program size, whatever the pattern. Groups are not remembered, only whether the whole
text fits. ``translate`` writes the same parsed pattern as PostgreSQL's dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from re import _constants as sre
from typing import Any

MAX_PROGRAM = 4_000
MAX_STEPS = 2_000_000
Test = Callable[[str], bool]


class NotLinear(ValueError):
    """The pattern uses what an automaton cannot do (back references, look-around) or is too big."""


@dataclass
class Program:
    """What the threads run: character tests, ``("split", a, b)``, ``("at", kind)`` and ``("end",)``."""

    code: list[Any] = field(default_factory=list)

    def add(self, instruction: Any) -> int:
        """Appends an instruction and gives its place."""
        if len(self.code) >= MAX_PROGRAM:
            raise NotLinear
        self.code.append(instruction)
        return len(self.code) - 1


def compile_automaton(tree: Any) -> Program:
    """The program of a parsed pattern. Raises ``NotLinear``."""
    program = Program()
    _emit(program, tree)
    program.add(("end",))
    return program


def _emit(program: Program, tree: Any) -> None:
    for op, value in tree:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            _repeat(program, *value)
        elif op is sre.SUBPATTERN:
            if value[1] or value[2]:
                raise NotLinear
            _emit(program, value[3])
        elif op is sre.BRANCH:
            _branch(program, value[1])
        elif op is sre.AT:
            program.add(("at", value))
        else:
            program.add(_test(op, value))


def _repeat(program: Program, least: int, most: Any, body: Any) -> None:
    for _ in range(min(least, MAX_PROGRAM)):
        _emit(program, body)
    if most == sre.MAXREPEAT:
        split = program.add(None)
        _emit(program, body)
        program.add(("split", split, split))
        program.code[split] = ("split", split + 1, len(program.code))
        return
    for _ in range(min(most - least, MAX_PROGRAM)):
        split = program.add(None)
        _emit(program, body)
        program.code[split] = ("split", split + 1, len(program.code))


def _branch(program: Program, branches: Any) -> None:
    jumps = []
    for branch in branches[:-1]:
        split = program.add(None)
        _emit(program, branch)
        jumps.append(program.add(None))
        program.code[split] = ("split", split + 1, len(program.code))
    _emit(program, branches[-1])
    for jump in jumps:
        program.code[jump] = ("split", len(program.code), len(program.code))


def _test(op: Any, value: Any) -> Test:
    if op is sre.LITERAL:
        return chr(value).__eq__
    if op is sre.NOT_LITERAL:
        return chr(value).__ne__
    if op is sre.ANY:
        return "\n".__ne__
    if op is sre.IN:
        return re.compile(_bracket(value)).match  # type: ignore[return-value]
    raise NotLinear


_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def _bracket(items: Any) -> str:
    parts = []
    for op, value in items:
        if op is sre.NEGATE:
            parts.append("^")
        elif op is sre.LITERAL:
            parts.append(_literal(value))
        elif op is sre.RANGE:
            parts.append(f"{_literal(value[0])}-{_literal(value[1])}")
        else:
            parts.append(_CATEGORIES[value])
    return "[" + "".join(parts) + "]"


def _literal(code: int) -> str:
    char = chr(code)
    return char if char.isalnum() else "\\" + char if char.isascii() and char.isprintable() else f"\\U{code:08x}"


def run(program: Program, text: str) -> bool | None:
    """True when the whole text fits; ``None`` when that takes more than ``MAX_STEPS``."""
    threads = _closure(program, {0}, 0, len(text))
    steps = 0
    for index, char in enumerate(text):
        steps += len(threads) + 1
        if steps > MAX_STEPS:
            return None
        following = {at + 1 for at in threads if callable(program.code[at]) and program.code[at](char)}
        threads = _closure(program, following, index + 1, len(text))
        if not threads:
            return False
    return any(program.code[at] == ("end",) for at in threads)


def _closure(program: Program, places: set[int], index: int, length: int) -> set[int]:
    seen: set[int] = set()
    stack = list(places)
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        instruction = program.code[at]
        if callable(instruction):
            continue
        if instruction[0] == "split":
            stack.extend(instruction[1:])
        elif instruction[0] == "at" and _stands(instruction[1], index, length):
            stack.append(at + 1)
    return seen


def _stands(kind: Any, index: int, length: int) -> bool:
    if kind in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
        return index == 0
    if kind in (sre.AT_END, sre.AT_END_STRING):
        return index == length
    raise NotLinear


def translate(tree: Any) -> str:
    """The parsed pattern as a PostgreSQL regular expression. Raises ``NotLinear`` for what that does not have."""
    parts = []
    for op, value in tree:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, body = value
            if least > 255 or (most != sre.MAXREPEAT and most > 255):
                raise NotLinear
            parts.append(f"(?:{translate(body)}){{{least},{'' if most == sre.MAXREPEAT else most}}}")
        elif op is sre.SUBPATTERN:
            if value[1] or value[2]:
                raise NotLinear
            parts.append(f"(?:{translate(value[3])})")
        elif op is sre.BRANCH:
            parts.append("(?:" + "|".join(translate(branch) for branch in value[1]) + ")")
        elif op is sre.AT:
            _stands(value, 0, 0)
            parts.append("^" if value in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING) else "$")
        elif op is sre.LITERAL:
            parts.append(_literal(value))
        elif op is sre.NOT_LITERAL:
            parts.append(f"[^{_literal(value)}]")
        elif op is sre.ANY:
            parts.append(r"[^\n]")
        elif op is sre.IN and not any(kind is sre.CATEGORY and len(value) > 1 and "NOT" in str(c) for kind, c in value):
            parts.append(_bracket(value))
        else:
            raise NotLinear
    return "".join(parts)
