"""Tree → source text: the formatter, and the translator between dialects.

``format_formula`` writes one canonical form (function names in capitals, one space around operators, brackets only
where they matter, lines of at most ``WIDTH``); formatting what it wrote changes nothing. Comments would be lost, so a
formula with comments stays as it is. ``translate`` writes a formula of one dialect in the other, with the brackets that
keep its meaning. ``names_field`` says whether a formula names a field (renaming is in ``metadata/renaming.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.check import step_name
from ratoon.platform.formulas.numeric import plain
from ratoon.platform.formulas.parse import MAX_LENGTH, PRECEDENCE, RIGHT_TO_LEFT, parse
from ratoon.platform.formulas.tree import Call, Literal, Node, Operation, Reference, walk_nodes
from ratoon.platform.formulas.types import Dialect, Scope, Type

WIDTH = 100
_QUOTED_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/', re.DOTALL)


def format_formula(source: str, dialect: Dialect = "native") -> str:
    """The formula in canonical form. Raises ``FormulaError`` when it does not parse."""
    node = parse(source, dialect)
    written = "" if has_comments(source) else _written(node, dialect)
    return written if 0 < len(written) <= MAX_LENGTH else source.strip()


def translate(source: str, origin: Dialect, target: Dialect) -> str:
    """A formula of one dialect in the other: the same tree, other brackets. Comments are not kept.

    Raises ``FormulaError`` when it does not parse, or would be longer than a formula may be.
    """
    written = _written(parse(source, origin), target)
    if len(written) > MAX_LENGTH:
        raise FormulaError(
            "too_long", "The formula has {length} characters; {most} are allowed", length=len(written), most=MAX_LENGTH
        )
    return written


def _written(node: Node, dialect: Dialect) -> str:
    """In lines; on one line when indenting would make it longer than a formula may be."""
    writer = Writer(dialect)
    lines = writer.lines(node)
    return lines if len(lines) <= MAX_LENGTH else writer.text(node)


def has_comments(source: str) -> bool:
    """True when there is a comment (not merely ``/*`` inside a text)."""
    return any(found.group().startswith("/*") for found in _QUOTED_OR_COMMENT.finditer(source))


def quote(text: str) -> str:
    """A text as a formula writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


class Writer:
    """Writes trees in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._levels = PRECEDENCE[dialect]
        self._right = RIGHT_TO_LEFT[dialect]

    def lines(self, node: Node, indent: int = 0) -> str:
        """The formula; calls that are too long for a line have one argument per line."""
        flat = self.text(node)
        if len(flat) + indent <= WIDTH or not isinstance(node, Call) or not node.args:
            return flat
        inner = indent + 2
        args = [" " * inner + self.lines(arg, inner) for arg in node.args]
        return f"{node.name.upper()}(\n" + ",\n".join(args) + "\n" + " " * indent + ")"

    def text(self, node: Node, least: int = 0) -> str:
        """The formula on one line; in brackets when it binds less tightly than ``least``."""
        if isinstance(node, Literal):
            return _literal(node)
        if isinstance(node, Reference):
            return ".".join(node.steps)
        if isinstance(node, Call):
            return f"{node.name.upper()}({', '.join(self.text(arg) for arg in node.args)})"
        written, level = self._operation(node)
        return f"({written})" if level < least else written

    def _operation(self, node: Operation) -> tuple[str, int]:
        if len(node.args) == 1:
            level = self._levels["sign"]
            operand = self.text(node.args[0], level)
            space = " " if operand[0] in "+-" else ""
            return f"{node.operator}{space}{operand}", level
        level = self._levels[node.operator]
        first, *rest = node.args
        right = node.operator in self._right
        parts = [self.text(first, level + 1 if right else level)]
        parts += [self._operand(arg, level if right else level + 1) for arg in rest]
        return f" {node.operator} ".join(parts), level

    def _operand(self, node: Node, least: int) -> str:
        # A sign after an operator never needs brackets: nothing else can be meant.
        signed = isinstance(node, Operation) and len(node.args) == 1
        return self.text(node, 0 if signed and self._levels["sign"] >= least else least)


def _literal(node: Literal) -> str:
    if node.type is Type.TEXT:
        return quote(node.value)
    if node.type is Type.NUMBER:
        text = format(node.value, "f")
        return text if "." in text else plain(node.value)
    return "NULL" if node.value is None else str(node.value).upper()


def names_field(
    source: str, scope: Scope, owner: Callable[[Scope], bool], name: str, dialect: Dialect = "native"
) -> bool:
    """True when the formula names the field of the object whose scope ``owner`` recognises."""
    nodes = walk_nodes(parse(source, dialect))
    return any(_names(node, scope, owner, name) for node in nodes if isinstance(node, Reference))


def _names(node: Reference, scope: Scope | None, owner: Callable[[Scope], bool], wanted: str) -> bool:
    for index, step in enumerate(node.steps):
        if scope is None:
            break
        name = step_name(scope, step, ahead=index + 1 < len(node.steps))
        if name is not None and owner(scope) and step.lower() == wanted.lower():
            return True
        scope = name.target if name is not None else None
    return False
