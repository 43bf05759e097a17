"""Source text → tree. Every refusal is a ``FormulaError`` with the place it is about.

The Lark grammar (``grammar.lark``) leaves operators in a flat list; ``PRECEDENCE`` orders them. Native formulas use
school precedence; the ``salesforce`` dialect keeps that engine's: ``^`` binds looser than ``*`` and goes left to right,
and a sign binds tighter than any operator.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.numeric import parse_number
from ratoon.platform.formulas.tree import Call, Literal, Node, Operation, Reference, depth
from ratoon.platform.formulas.types import Dialect, Type

MAX_LENGTH = 10_000
"""Longest formula, in characters."""
MAX_DEPTH = 120
"""Deepest nesting of functions, brackets and operators."""

_COMMON = {"||": 1, "&&": 2, "=": 3, "<>": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "&": 5}
PRECEDENCE: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "native": {**_COMMON, "*": 7, "/": 7, "sign": 8, "^": 9},
        "salesforce": {**_COMMON, "^": 6, "*": 7, "/": 7, "sign": 10},
    }
)
"""How tightly each operator binds, per dialect; ``sign`` is the one-sided ``-``, ``+`` and ``!``."""
RIGHT_TO_LEFT: Mapping[str, frozenset[str]] = MappingProxyType({"native": frozenset({"^"}), "salesforce": frozenset()})
FLAT = frozenset({"&", "&&", "||"})
"""Operators whose chains become one node with many operands, so that a long chain is not a deep tree."""
SAME = MappingProxyType({"==": "=", "!=": "<>"})
WORDS: Mapping[str, tuple[Type, Any]] = MappingProxyType(
    {"true": (Type.BOOLEAN, True), "false": (Type.BOOLEAN, False), "null": (Type.BLANK, None)}
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_STEP = re.compile(r"\$?(?:%%%\w+%%%)*\w+")
_LOOKALIKE = MappingProxyType(
    {
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "–": "-", "—": "-", "−": "-",
        "×": "*", "÷": "/", "≠": "<>", "≤": "<=", "≥": ">=", "，": ",", "（": "(", "）": ")", "＝": "=", "；": ",",
        "＋": "+", "＜": "<", "＞": ">", "＆": "&",
    }
)  # fmt: skip


def parse(source: str, dialect: Dialect = "native") -> Node:
    """The tree of a formula. Raises ``FormulaError``: too_long, too_deep, empty, syntax, invisible_character …"""
    if len(source) > MAX_LENGTH:
        raise FormulaError(
            "too_long", "The formula has {length} characters; {most} are allowed", position=MAX_LENGTH,
            length=len(source), most=MAX_LENGTH,
        )  # fmt: skip
    if not source.strip():
        raise FormulaError("empty", "The formula is empty", position=0)
    _refuse_deep(source)
    try:
        tree: Any = _parser(dialect).parse(source)
    except UnexpectedCharacters as error:
        raise _bad_character(source, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        raise _bad_token(source, error) from None
    except UnexpectedEOF:
        raise FormulaError("syntax", "The formula ends too early", position=len(source)) from None
    except VisitError as error:
        if isinstance(error.orig_exc, FormulaError):
            raise error.orig_exc from None
        raise
    node: Node = tree.children[0]
    if depth(node) > MAX_DEPTH:
        raise _too_deep(0)
    return node


@functools.cache
def _parser(dialect: Dialect) -> Lark:
    grammar = resources.files("ratoon.platform.formulas").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_Builder(dialect))


def _refuse_deep(source: str) -> None:
    if source.count("(") <= MAX_DEPTH:
        return
    opened = 0
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/|[()]', source, re.DOTALL):
        opened += {"(": 1, ")": -1}.get(match.group(), 0)
        if opened > MAX_DEPTH:
            raise _too_deep(match.start())


def _too_deep(position: int) -> FormulaError:
    return FormulaError("too_deep", "Nested deeper than {most} levels", position=position, most=MAX_DEPTH)


def _bad_character(source: str, position: int) -> FormulaError:
    char = source[position]
    if char in "\"'":
        return FormulaError(
            "unclosed_text", "This text is not closed: {quote} is missing", position=position, quote=char
        )
    if char == "/" and source.startswith("/*", position):
        return FormulaError("unclosed_comment", "This comment is not closed: */ is missing", position=position)
    name = unicodedata.name(char, f"U+{ord(char):04X}")
    if unicodedata.category(char) in ("Cf", "Cc", "Zs", "Zl", "Zp", "Co", "Cn"):
        return FormulaError(
            "invisible_character",
            "There is an invisible character here ({name}); delete it",
            position=position,
            name=name,
        )
    if char in _LOOKALIKE:
        return FormulaError(
            "lookalike_character", "{found} ({name}) looks like {meant} but is another character", position=position,
            found=char, name=name, meant=_LOOKALIKE[char],
        )  # fmt: skip
    return FormulaError("syntax", "{found} is not expected here", position=position, found=char)


_SHOWN = MappingProxyType(
    {"RPAR": ")", "LPAR": "(", "COMMA": ",", "OPERATOR": "an operator", "NUMBER": "a value", "RBRACE": "}"}
)


def _bad_token(source: str, error: UnexpectedToken) -> FormulaError:
    token: Token = error.token
    if token == "*" and source[(token.start_pos or 1) - 1] == "/":
        return _bad_character(source, (token.start_pos or 1) - 1)
    wanted = " or ".join(dict.fromkeys(text for name, text in _SHOWN.items() if name in error.expected))
    if token.type == "$END":
        return FormulaError(
            "syntax", "The formula ends too early; expected {wanted}", position=len(source.rstrip()), wanted=wanted
        )
    return FormulaError(
        "syntax", "{found} is not expected here; expected {wanted}", position=token.start_pos,
        found=str(token), wanted=wanted or "the end",
    )  # fmt: skip


def unquote(text: str) -> str:
    """The value of a quoted text."""
    body = text[1:-1]
    return _ESCAPE.sub(lambda m: _ESCAPES.get(m.group(1), m.group(0)), body) if "\\" in body else body


class _Builder(Transformer[Token, Node]):
    """Lark calls these while it parses; ``depths`` keeps the height of every node built so far."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__()
        self._precedence = PRECEDENCE[dialect]
        self._right = RIGHT_TO_LEFT[dialect]

    def reference(self, items: list[Any]) -> Node:
        token = items[0]
        start: int = token.start_pos
        word = WORDS.get(token.lower())
        if word is not None:
            return Literal(start, token.end_pos, *word)
        steps = tuple((m.group(), start + m.start()) for m in _STEP.finditer(token))
        return Reference(start, token.end_pos, tuple(s for s, _ in steps), tuple(p for _, p in steps))

    def call(self, items: list[Any]) -> Node:
        name, args, close = items[0], items[2:-1], items[-1]
        return Call(name.start_pos, close.end_pos, str(name), tuple(args))

    def group(self, items: list[Any]) -> Node:
        # The brackets belong to the part, so that source[position:end] is always a formula of its own.
        node: Node = items[1]
        return dataclasses.replace(node, position=_at(items[0]), end=_at(items[2]) + 1)

    def expr(self, items: list[Any]) -> Node:
        if len(items) == 1:
            return _leaf(items[0])
        node, rest = self._climb(items, 0, 0, 0)
        return node if rest >= len(items) else _leaf(items[rest])

    def _climb(self, items: list[Any], at: int, least: int, nested: int) -> tuple[Node, int]:
        item: Any = items[at]
        if nested > MAX_DEPTH:
            raise _too_deep(_at(item))
        if isinstance(item, Token) and item.type in ("PLUS", "MINUS", "BANG"):
            operand, at = self._climb(items, at + 1, self._precedence["sign"], nested + 1)
            left: Node = Operation(_at(item), operand.end, str(item), (operand,), _at(item))
        else:
            left, at = _leaf(item), at + 1
        while at < len(items):
            token: Any = items[at]
            operator = SAME.get(token, str(token))
            level = self._precedence[operator]
            if level < least:
                break
            tighter = level if operator in self._right else level + 1
            args = [left]
            while True:
                right, at = self._climb(items, at + 1, tighter, nested + 1)
                args.append(right)
                if operator not in FLAT or at >= len(items) or str(items[at]) != operator:
                    break
            left = Operation(left.position, right.end, operator, tuple(args), _at(token))
        return left, at


def _at(item: Any) -> int:
    at: Any = item.start_pos if isinstance(item, Token) else item.position
    return int(at)


def _leaf(item: Any) -> Node:
    if not isinstance(item, Token):
        node: Node = item
        return node
    start: Any = item.start_pos
    end: Any = item.end_pos
    if item.type == "NUMBER":
        return Literal(start, end, Type.NUMBER, parse_number(item))
    return Literal(start, end, Type.TEXT, unquote(item))
