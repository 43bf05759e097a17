"""The sandbox that templates run in: Jinja that reaches nothing outside and cannot run away.

No loader, no global names; unknown names are errors. Loops are counted over the whole part, texts that repeat or widen
another one are bounded, and what comes out is measured while it is made. A page of text takes a fraction of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ratoon.platform.metadata.templates import MAX_LENGTH, MAX_STEPS

_BUDGET = "_budget"
_WIDENING = frozenset(
    {"center", "ljust", "rjust", "zfill", "expandtabs", "replace", "join", "translate", "format", "format_map"}
)
"""Methods of texts that make a much longer one."""
_WIDENING_FILTERS = ("center", "indent", "format", "wordwrap", "filesizeformat", "pprint", "xmlattr", "urlize")


class TooMuch(SecurityError):
    """A template that loops or writes too much."""


class _Budget:
    """How often the loops of one rendering may still go round."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooMuch(f"its loops go round more than {MAX_STEPS} times")


@pass_context
def _counted(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    budget: _Budget = context[_BUDGET]
    for item in items:
        budget.step()
        yield item


class Sandbox(ImmutableSandboxedEnvironment):
    """See the module."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, **options: Any) -> None:
        super().__init__(undefined=StrictUndefined, **options)
        self.globals.clear()
        for name in _WIDENING_FILTERS:
            self.filters.pop(name, None)
        self.filters["_counted"] = _counted

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """The tree with every loop counted."""
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            if loop.recursive:
                raise TooMuch("loops that call themselves are not allowed")
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic; texts and lists are not multiplied or formatted, whole numbers stay small."""
        if operator == "+":
            if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) > MAX_LENGTH:
                raise TooMuch("a text becomes too long")
        elif operator == "**" or not all(isinstance(v, int | float) or _is_number(v) for v in (left, right)):
            raise TooMuch(f"{operator} is for numbers here" if operator != "**" else "** is not allowed")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """No methods that make a text much longer."""
        if isinstance(obj, str) and attr in _WIDENING:
            return False
        return bool(super().is_safe_attribute(obj, attr, value))


def _is_number(value: Any) -> bool:
    from decimal import Decimal

    return isinstance(value, Decimal)


@cache
def sandbox(html: bool) -> Sandbox:
    """The one for HTML (values are escaped), or for text."""
    return Sandbox(autoescape=html)


def fill(template: Template, names: Mapping[str, Any]) -> str:
    """The text of a template. Raises ``TooMuch`` and what Jinja raises."""
    parts, length = [], 0
    for part in template.generate({**names, _BUDGET: _Budget()}):
        length += len(part)
        if length > MAX_LENGTH:
            raise TooMuch("it becomes too long")
        parts.append(part)
    return "".join(parts)
