"""What a formula is after parsing (``Node``) and after checking (``Typed``).

Parsing gives Literal, Reference, Call and Operation. Checking turns every one of them into Constant, Read, Global or
Apply: operators and functions are alike from there on, so a back end has four things to know and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratoon.platform.formulas.types import Name, Type

if TYPE_CHECKING:
    from ratoon.platform.formulas.functions import Overload


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, TRUE, FALSE or NULL as written."""

    position: int
    end: int
    type: Type
    value: Any


@dataclass(frozen=True, slots=True)
class Reference:
    """A name or a dotted path; ``spots`` are the offsets of its steps."""

    position: int
    end: int
    steps: tuple[str, ...]
    spots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    position: int
    end: int
    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with one operand or two; ``spot`` is where the operator stands."""

    position: int
    end: int
    operator: str
    args: tuple[Node, ...]
    spot: int


Node = Literal | Reference | Call | Operation
MANY = "@"
"""In a key: the step ``line@bill`` stands for the records of ``line`` whose lookup ``bill`` points here."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value known when the formula is checked."""

    position: int
    end: int
    type: Type
    value: Any
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """The value of a key of the row."""

    position: int
    end: int
    type: Type
    key: str
    name: Name
    scale: int | None = None
    written: str = ""
    """The path as written, in small letters."""


@dataclass(frozen=True, slots=True)
class Global:
    """A value of the context: ``$user.id``, ``$organization.currency``, ``$source.region``."""

    position: int
    end: int
    type: Type
    space: str
    key: str
    percent: bool = False
    scale: int | None = None
    written: str = ""


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or operator, the overload chosen for its arguments, and its result."""

    position: int
    end: int
    type: Type
    overload: Overload
    args: tuple[Typed, ...]
    scale: int | None = None

    @property
    def name(self) -> str:
        """The function's or operator's name."""
        return self.overload.name


Typed = Constant | Read | Global | Apply


def relation_of(key: str) -> str | None:
    """The relationship that a key leads through: ``account.line@bill.amount`` → ``account.line@bill``."""
    if MANY not in key:
        return None
    end = key.find(".", key.index(MANY))
    return key if end < 0 else key[:end]


def walk(node: Typed) -> Iterator[Typed]:
    """The node and everything below it."""
    stack: list[Typed] = [node]
    while stack:
        top = stack.pop()
        yield top
        if isinstance(top, Apply):
            stack.extend(reversed(top.args))


def walk_nodes(node: Node) -> Iterator[Node]:
    """The same for a tree that has not been checked."""
    stack: list[Node] = [node]
    while stack:
        top = stack.pop()
        yield top
        if isinstance(top, Call | Operation):
            stack.extend(reversed(top.args))


def depth(node: Node) -> int:
    """How deeply a tree is nested; one for a leaf."""
    deepest = 0
    stack: list[tuple[Node, int]] = [(node, 1)]
    while stack:
        top, level = stack.pop()
        deepest = max(deepest, level)
        if isinstance(top, Call | Operation):
            stack.extend((arg, level + 1) for arg in top.args)
    return deepest
