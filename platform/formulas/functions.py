"""The functions and operators of the language, as a value.

``FunctionSet`` is a mapping of names to ``Function``; ``builtin_functions()`` gives the built-in ones and
``functions.plus(mine)`` adds a plugin's. A function says its signature, what it does, examples that the tests execute,
how Python computes it and, when it can be pushed down, its SQL form::

    define(
        "INITIALS", "text", "text", lambda text: "".join(w[0] for w in text.split()),
        doc="First letters of the words.", group="Text", examples=[('INITIALS("Ada Lovelace")', "AL")],
    )

Signatures: ``"text, places: number?, values: number*"``: a name before the colon, ``?`` optional, ``*`` repeated.
Types are those of ``types.Type`` plus ``any``, ``field`` (a field, not an expression) and ``T`` (all T alike; also as
result). ``|`` joins alternatives. A *strict* function is blank when any argument is blank.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratoon.platform.formulas.types import EvalContext, Type

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from ratoon.platform.formulas.tree import Typed

Run = Callable[[Mapping[str, Any], EvalContext], Any]
"""A compiled part: row and context in, value out."""
Build = Callable[[Sequence[Run], Sequence["Typed"]], Run]
"""Makes the closure of a function that does not simply take the values of all its arguments (IF, AND, CASE …)."""
SqlForm = Callable[[Sequence["ColumnElement[Any]"], str], "ColumnElement[Any]"]
"""Arguments and the database (``sqlite`` or ``postgresql``) in, expression out."""

ANY = frozenset(Type)
TYPES: Mapping[str, frozenset[Type]] = {
    **{kind.value: frozenset({kind}) for kind in Type},
    "text": frozenset({Type.TEXT, Type.PICKLIST, Type.REFERENCE}),
    "multi": frozenset({Type.MULTI}),
    "geo": frozenset({Type.GEO}),
    "any": ANY,
    "field": ANY,
    "T": ANY,
}


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a signature."""

    name: str
    spec: str
    types: frozenset[Type]
    optional: bool = False
    repeated: bool = False


@dataclass(frozen=True)
class Overload:
    """One signature of a function with what computes it."""

    name: str
    params: tuple[Param, ...]
    returns: str
    python: Callable[..., Any] | None = None
    build: Build | None = None
    strict: bool = True
    context: bool = False
    """True: ``python`` gets the EvalContext first."""
    sql: SqlForm | None = None
    volatile: bool = False
    inexact: bool = False
    """True when the result has more decimals than anybody wants (division, roots, logarithms)."""
    form: str = ""
    """Which built-in SQL form it has; the name unless several overloads need different ones."""
    aggregate: bool = False
    """True: its arguments are worked out for every related record (SUM, COUNT …)."""

    @functools.cached_property
    def least(self) -> int:
        """Fewest arguments."""
        return sum(not (p.optional or p.repeated) for p in self.params)

    @functools.cached_property
    def most(self) -> int | None:
        """Most arguments; ``None`` = no limit."""
        return None if self.params and self.params[-1].repeated else len(self.params)

    def param(self, index: int) -> Param:
        """The parameter that the argument at ``index`` belongs to."""
        return self.params[min(index, len(self.params) - 1)]

    @property
    def signature(self) -> str:
        """How a person reads it: ``ROUND(number, places?)``."""
        names = [p.name + ("?" if p.optional else "") + (", …" if p.repeated else "") for p in self.params]
        return f"{self.name}({', '.join(names)}) → {self.returns}"


@dataclass(frozen=True)
class Function:
    """A named function: its overloads, what it does and examples (formula, result as text) that tests execute."""

    name: str
    overloads: tuple[Overload, ...]
    doc: str
    group: str
    examples: tuple[tuple[str, Any], ...] = ()
    operator: bool = False


def parse_signature(signature: str) -> tuple[Param, ...]:
    """The parameters of a signature string (see the module's docstring)."""
    params = []
    for part in filter(None, (p.strip() for p in signature.split(","))):
        name, _, spec = part.rpartition(":")
        spec = spec.strip()
        bare = spec.rstrip("?*")
        types = frozenset().union(*(TYPES[t] for t in bare.split("|")))
        params.append(Param(name.strip() or bare, bare, types, spec.endswith("?"), spec.endswith("*")))
    return tuple(params)


def define(
    name: str,
    signature: str | Sequence[str],
    returns: str,
    python: Callable[..., Any] | None = None,
    *,
    doc: str,
    group: str,
    examples: Iterable[tuple[str, Any]] = (),
    build: Build | None = None,
    strict: bool = True,
    context: bool = False,
    sql: SqlForm | None = None,
    volatile: bool = False,
    inexact: bool = False,
    aggregate: bool = False,
    form: str = "",
    also: Iterable[Overload] = (),
) -> Function:
    """A function with one signature (or several that share everything else), plus the overloads in ``also``."""
    signatures = [signature] if isinstance(signature, str) else list(signature)
    overloads = tuple(
        overload(
            name,
            s,
            returns,
            python,
            build=build,
            strict=strict,
            context=context,
            sql=sql,
            volatile=volatile,
            inexact=inexact,
            aggregate=aggregate,
            form=form,
        )
        for s in signatures
    )
    return Function(name, (*overloads, *also), doc, group, tuple(examples))


def overload(
    name: str,
    signature: str,
    returns: str,
    python: Callable[..., Any] | None = None,
    *,
    form: str = "",
    build: Build | None = None,
    strict: bool = True,
    context: bool = False,
    sql: SqlForm | None = None,
    volatile: bool = False,
    inexact: bool = False,
    aggregate: bool = False,
) -> Overload:
    """One more signature for ``define(also=…)``."""
    return Overload(
        name,
        parse_signature(signature),
        returns,
        python,
        build,
        strict,
        context,
        sql,
        volatile,
        inexact,
        form or name,
        aggregate,
    )


@dataclass(frozen=True)
class FunctionSet:
    """The functions and operators formulas may use. Immutable; names are matched without regard to case."""

    functions: Mapping[str, Function] = field(default_factory=dict)

    @classmethod
    def of(cls, functions: Iterable[Function]) -> FunctionSet:
        """A set of these; two of one name raise ``ValueError``."""
        return cls().plus(functions)

    def plus(self, functions: Iterable[Function]) -> FunctionSet:
        """This set and more; a name that is taken raises ``ValueError``."""
        merged = dict(self.functions)
        for function in functions:
            if function.name in merged:
                raise ValueError(f"two formula functions are called {function.name}")
            merged[function.name] = function
        return FunctionSet(merged)

    def get(self, name: str) -> Function | None:
        """The function of that name."""
        return self.functions.get(name) or self.functions.get(name.upper())

    def names(self) -> list[str]:
        """Function names without operators, sorted."""
        return sorted(f.name for f in self.functions.values() if not f.operator)

    def __iter__(self) -> Iterator[Function]:
        return iter(self.functions.values())

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.functions)))
