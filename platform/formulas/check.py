"""The type checker: a parsed tree and a scope in, a tree of constants, reads and applied functions out.

Every name is resolved, every function gets the overload that fits its arguments, and what does not fit is a
``FormulaError`` that says where, what was expected, what was found, and the nearest name there is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.aggregates import relations
from ratoon.platform.formulas.functions import Function, FunctionSet, Overload
from ratoon.platform.formulas.operators import WHOLE_POWER
from ratoon.platform.formulas.refusing import arguments, nearest, unknown, wrong
from ratoon.platform.formulas.results import SPECIAL, TEXTUAL, fits, result_type
from ratoon.platform.formulas.scales import applied_scale, literal_scale, name_scale
from ratoon.platform.formulas.tree import (
    MANY,
    Apply,
    Call,
    Constant,
    Global,
    Literal,
    Node,
    Operation,
    Read,
    Reference,
    Typed,
    walk,
)
from ratoon.platform.formulas.types import Dialect, Name, Scope, Type

GLOBALS = MappingProxyType(
    {
        "$user": ("id", "name", "email", "locale", "role", "time_zone"),
        "$organization": ("name", "currency", "time_zone", "locale"),
    }
)
WORDS = MappingProxyType({"$today": "TODAY", "$now": "NOW"})


def related_name(scope: Scope, name: str) -> Name | None:
    """What a name means as a relationship; ``None`` when there is none."""
    find: Callable[[str], Name | None] | None = getattr(scope, "related", None)
    return find(name) if find is not None else None


def step_name(scope: Scope, step: str, *, ahead: bool, related: bool = True) -> Name | None:
    """What a step of a path means: a field, or a relationship where no field can be meant.

    ``ahead``: more steps follow. ``related``: a relationship may stand here (there is none behind another one).
    """
    name = scope.name(step) or scope.name(step.lower())
    if not related or (name is not None and (name.target is not None or not ahead)):
        return name
    return related_name(scope, step) or name


def related_names(scope: Scope) -> list[str]:
    """The relationships there are."""
    names: Callable[[], Iterable[str]] | None = getattr(scope, "related_names", None)
    return list(names()) if names is not None else []


def refuse_several(node: Typed) -> None:
    """Refuses a path that leads to several records where one value is needed."""
    for read in relations([node]).values():
        raise FormulaError(
            "several_records", "{name} leads to several records: use SUM, COUNT, MIN, MAX or AVG",
            position=read.position, name=read.written,
        )  # fmt: skip


class Checker:
    """Checks one formula; ``check(node)`` gives the typed tree."""

    def __init__(self, scope: Scope, functions: FunctionSet, dialect: Dialect = "native") -> None:
        self._scope = scope
        self._functions = functions
        self._dialect = dialect

    def check(self, node: Node) -> Typed:
        """The typed tree. Raises ``FormulaError``."""
        if isinstance(node, Literal):
            return Constant(node.position, node.end, node.type, node.value, literal_scale(node))
        if isinstance(node, Reference):
            return self._reference(node)
        if isinstance(node, Call):
            return self._call(node)
        if node.operator in ("-", "+") and len(node.args) == 1 and isinstance(node.args[0], Literal):
            return self._signed(node, node.args[0])
        operator = WHOLE_POWER if node.operator == "^" and self._dialect == "salesforce" else node.operator
        function = self._functions.functions[operator]
        args = tuple([self.check(arg) for arg in node.args])
        return self._apply(function, args, node, node.spot)

    def _signed(self, node: Operation, literal: Literal) -> Typed:
        if literal.type is not Type.NUMBER:
            raise wrong(literal.position, ["number"], literal.type)
        value = -literal.value if node.operator == "-" else literal.value
        return Constant(node.position, node.end, Type.NUMBER, value, literal_scale(literal))

    # --- names

    def _reference(self, node: Reference) -> Typed:
        first = node.steps[0]
        if first.startswith("$"):
            return self.context_name(node)
        return self.path(node)

    def path(self, node: Reference) -> Read:
        """The key that a name or dotted path reads. Raises ``FormulaError``."""
        scope = self._scope
        keys: list[str] = []
        name: Name | None = None
        volatile = False
        for index, step in enumerate(node.steps):
            if name is not None:
                if name.target is None:
                    raise FormulaError(
                        "not_a_reference", "{name} does not lead to another record", position=node.spots[index - 1],
                        name=node.steps[index - 1],
                    )  # fmt: skip
                scope = name.target
            ahead = index + 1 < len(node.steps)
            name = step_name(scope, step, ahead=ahead, related=not any(MANY in key for key in keys))
            if name is None:
                raise self._unknown_name(step, node.spots[index], scope)
            keys.append(name.key)
            volatile = volatile or name.volatile
        assert name is not None
        if name.many:
            keys.append("id")
        if volatile and not name.volatile:
            name = replace(name, volatile=True)
        return Read(node.position, node.end, name.type, ".".join(keys), name, name_scale(name), _written(node))

    def context_name(self, node: Reference) -> Typed:
        """What ``$user.id`` and its like stand for."""
        first = node.steps[0].lower()
        if first in WORDS and len(node.steps) == 1:
            function = self._functions.functions[WORDS[first]]
            return Apply(node.position, node.end, Type(function.overloads[0].returns), function.overloads[0], ())
        own = self._scope.name(first)
        if own is not None and (len(node.steps) > 1 or own.type is not Type.REFERENCE):
            read = self.path(node)
            space, _, key = read.key.partition(".")
            return Global(node.position, node.end, read.type, space, key, read.name.percent, read.scale, _written(node))
        if first not in GLOBALS:
            hint = nearest(first, (*GLOBALS, *WORDS))
            raise unknown("unknown_name", "There is no {name}", node.position, node.steps[0], hint)
        if len(node.steps) != 2 or node.steps[1].lower() not in GLOBALS[first]:
            wrong = node.steps[1] if len(node.steps) > 1 else ""
            hint = nearest(wrong, GLOBALS[first]) or GLOBALS[first][0]
            raise unknown("unknown_name", "There is no {name}", node.position, ".".join(node.steps), f"{first}.{hint}")
        return Global(node.position, node.end, Type.TEXT, first, node.steps[1].lower(), written=_written(node))

    def _unknown_name(self, step: str, position: int, scope: Scope) -> FormulaError:
        hint = nearest(step, [*scope.names(), *related_names(scope)])
        if hint and len(hint) == len(step):
            odd = [(at, char) for at, (char, meant) in enumerate(zip(step, hint, strict=True)) if char.lower() != meant]
            if odd and not any(char.isascii() for _, char in odd):
                at, char = odd[0]
                return FormulaError(
                    "lookalike_character", "{found} ({name}) looks like {meant} but is another character",
                    position=position + at, found=char, name=unicodedata.name(char, "?"), meant=hint[at],
                )  # fmt: skip
        if not hint and self._functions.get(step):
            hint = f"{step.upper()}(…)"
        return unknown("unknown_name", "There is no field {name}", position, step, hint)

    # --- functions

    def _call(self, node: Call) -> Typed:
        function = self._functions.get(node.name)
        if function is None or function.operator:
            hint = nearest(node.name, self._functions.names())
            raise unknown("unknown_function", "There is no function {name}", node.position, node.name, hint)
        args = tuple([self.check(arg) for arg in node.args])
        if any(o.aggregate for o in function.overloads):
            function, args = self._aggregated(function, args, node)
        return self._apply(function, args, node, node.position)

    def _aggregated(
        self, function: Function, args: tuple[Typed, ...], node: Call
    ) -> tuple[Function, tuple[Typed, ...]]:
        """SUM and its like: only the overloads that are meant, over related records or not."""
        plain = tuple(o for o in function.overloads if not o.aggregate)
        if not plain and args and isinstance(node.args[0], Reference) and not relations(args):
            args = (self._relationship(node.args[0]) or args[0], *args[1:])
        found = relations(args)
        over = bool(found) and (not plain or len(args) == 1 or (len(args) == 2 and args[1].type is Type.BOOLEAN))
        inner = next((n for arg in args for n in walk(arg) if isinstance(n, Apply) and n.overload.aggregate), None)
        if over and inner is not None:
            raise FormulaError(
                "nested_aggregate", "{inner} cannot stand inside {function}: make it a formula field of its own",
                position=inner.position, inner=inner.name, function=function.name,
            )  # fmt: skip
        if over and len(found) > 1:
            other = list(found.values())[1]
            raise FormulaError(
                "two_relationships", "{function} goes over one relationship; this is another one",
                position=other.position, function=function.name,
            )  # fmt: skip
        if not over and not plain:
            names = related_names(self._scope)
            raise FormulaError(
                "not_related", "{function} needs related records: {function}({example}…); there are {names}",
                position=node.args[0].position if node.args else node.position, function=function.name,
                example=f"{names[0]}." if names else "", names=", ".join(names[:8]) or "∅",
            )  # fmt: skip
        overloads = tuple(o for o in function.overloads if o.aggregate) if over else plain
        return replace(function, overloads=overloads), args

    def _relationship(self, node: Reference) -> Read | None:
        """``lines`` alone: where a field has that name too, COUNT means the relationship."""
        if len(node.steps) != 1:
            return None
        name = related_name(self._scope, node.steps[0])
        if name is None:
            return None
        return Read(node.position, node.end, name.type, f"{name.key}.id", name, written=_written(node))

    def _apply(self, function: Function, args: tuple[Typed, ...], node: Node, position: int) -> Typed:
        count = len(args)
        overloads = [o for o in function.overloads if o.least <= count and (o.most is None or count <= o.most)]
        if not overloads:
            raise arguments(function, len(args), position)
        best = next((o for o in overloads if _accepts(o, args)), None)
        if best is None:
            raise self._misfit(function, overloads, args, position)
        special = SPECIAL.get(function.name)
        kind = special(best, args, node) if special else result_type(best, args)
        return Apply(node.position, node.end, kind, best, args, applied_scale(best, args, kind))

    def _misfit(
        self, function: Function, overloads: Sequence[Overload], args: tuple[Typed, ...], position: int
    ) -> FormulaError:
        # The overload that gets furthest knows best what was meant.
        def reach(o: Overload) -> int:
            return next((i for i, a in enumerate(args) if not _accepted(o, i, a)), len(args))

        furthest = max(reach(o) for o in overloads)
        wanted = dict.fromkeys(o.param(furthest).spec for o in overloads if reach(o) == furthest)
        return wrong(args[furthest].position, wanted, args[furthest].type)


def _accepts(overload: Overload, args: Sequence[Typed]) -> bool:
    return all(_accepted(overload, index, arg) for index, arg in enumerate(args))


def _accepted(overload: Overload, index: int, arg: Typed) -> bool:
    param = overload.param(index)
    return fits(arg.type, param.types) and (param.spec != "field" or isinstance(arg, Read))


def _written(node: Reference) -> str:
    return ".".join(node.steps).lower()


def expect(node: Typed, wanted: Type) -> None:
    """Refuses a formula whose result is of another type than the place it stands in."""
    kind = node.type
    if kind in (wanted, Type.BLANK) or (kind in TEXTUAL and wanted in TEXTUAL):
        return
    raise wrong(node.position, [wanted.value], kind)
