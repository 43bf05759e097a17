"""Everything that can go wrong, as data.

Exceptions here know nothing of HTTP, HTML or the command line; each channel has one table that maps them
(``api/problems.py``, ``ui/errors.py``, ``cli``). Every class has one stable ``code``. A message is an English
template with ``{name}`` places plus the values for them, so that the same error can be shown in another language:
``error.text(translate)``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

Translate = Callable[[str], str]
Severity = Literal["error", "warning", "info"]
_PLACE = re.compile(r"\{(\w+)\}")


def _same(template: str) -> str:
    return template


def fill(template: str, params: Mapping[str, Any], translate: Translate = _same) -> str:
    """The translated template with its places filled; a place without a value stays visible instead of raising."""
    text = translate(template)
    return _PLACE.sub(lambda found: _value(params, found, translate), text) if params else text


def _value(params: Mapping[str, Any], found: re.Match[str], translate: Translate) -> str:
    value = params.get(found[1], found[0])
    return told(value, translate) if isinstance(value, Text) else str(value)


class Text(str):
    """An English text that remembers what it was made of, so that whoever shows it can tell it in another language.

    It is a ``str`` and goes wherever one goes; put into an f-string it is plain English from there on, so texts are
    put together with ``say``: its values may be texts themselves.
    """

    __slots__ = ("params", "template")
    template: str
    params: Mapping[str, Any]

    def __new__(cls, text: str, template: str = "", params: Mapping[str, Any] | None = None) -> Text:
        """``text`` is what ``template`` gives with ``params``; made by ``say``."""
        made = super().__new__(cls, text)
        made.template = template or text
        made.params = params or {}
        return made


Hint = Text | Literal[""]
"""How to mend something, when there is something to say."""


def say(template: str, /, **params: Any) -> Text:
    """A text for people: an English template with ``{name}`` places and their values. ``ui/catalog.py`` finds it."""
    return Text(fill(template, params), template, params)


def listed(texts: Iterable[str], between: str = "; ") -> Text:
    """Several texts as one."""
    params = {f"text{place}": text for place, text in enumerate(texts)}
    return say(between.join("{" + name + "}" for name in params), **params)


def told(value: Any, translate: Translate) -> Any:
    """A text in the reader's language; in lists and mappings every one. What ``say`` did not make stays as it is."""
    if isinstance(value, Text):
        return fill(value.template, value.params, translate)
    if isinstance(value, Mapping):
        return {key: told(item, translate) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [told(item, translate) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one record (or one of its fields).

    ``field`` is the record key it belongs to (``None`` = the record as a whole), ``index`` the place of the record
    in the list that was sent, ``rule`` the validation rule or stage that said so.
    """

    code: str
    message: str
    field: str | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    severity: Severity = "error"
    index: int | None = None
    rule: str | None = None
    within: tuple[str | int, ...] = ()
    """Where in the value of the field, when it is a list: ``(0, "since")``."""
    about: Collection[str] = ()
    """Paths of other fields that the message tells something of: whoever may not read them is told less."""

    def text(self, translate: Translate = _same) -> str:
        """The message in the reader's language."""
        return fill(self.message, self.params, translate)

    def at(self, index: int | None) -> Problem:
        """The same problem, placed at a record of a list."""
        return replace(self, index=index)


class RatoonError(Exception):
    """Base of every refusal. ``code`` is stable; ``params`` fill the places of ``message``."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **params: Any) -> None:
        super().__init__(fill(message, params))
        self.message = message
        self.params: Mapping[str, Any] = params

    def text(self, translate: Translate = _same) -> str:
        """The message in the reader's language."""
        return fill(self.message, self.params, translate)

    @property
    def said(self) -> Text:
        """The message as a text that can be part of another one."""
        return Text(self.text(), self.message, self.params)


class NotFound(RatoonError):
    """There is no such record, object, field, revision … or the caller may not know that there is."""

    code = "not_found"


class Forbidden(RatoonError):
    """The caller is known and may not do this."""

    code = "forbidden"


class BadRequest(RatoonError):
    """The call cannot be understood: a cursor edited by hand, an unknown parameter, a body that is not a record."""

    code = "bad_request"

    def __init__(self, message: str, *, field: str | None = None, **params: Any) -> None:
        super().__init__(message, **({} if field is None else {"field": field}), **params)
        self.field = field


class Invalid(RatoonError):
    """One value is not what its field takes. Raised by ``coerce``; the service makes a Problem of it."""

    code = "invalid"

    def __init__(self, code: str, message: str, **params: Any) -> None:
        super().__init__(message, **params)
        self.problem_code = code

    def problem(self, key: str) -> Problem:
        """This refusal as a problem of the record key ``key``."""
        return Problem(self.problem_code, self.message, field=key, params=self.params)


class ValidationFailed(RatoonError):
    """The record or records were refused; every reason is in ``problems``. Nothing was written."""

    code = "validation_failed"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            "{count} problem(s): {first}",
            count=len(problems),
            first="; ".join(p.text() for p in problems[:5]),
        )
        self.problems = tuple(problems)


class Stale(RatoonError):
    """Somebody else saved first. ``yours`` is the version sent, ``current`` the record as it stands now."""

    code = "stale_version"

    def __init__(self, message: str, *, yours: int | None, current: Mapping[str, Any], **params: Any) -> None:
        super().__init__(message, yours=yours, **params)
        self.yours = yours
        self.current = current


class Conflict(RatoonError):
    """The state of the data does not allow it: a key used again with another body, a restrict reference, a lock."""

    code = "conflict"


class BadSetting(RatoonError, ValueError):
    """A setting (``RATOON_…``) that cannot work."""

    code = "bad_setting"


class TooMany(RatoonError):
    """More attempts or calls than the limits allow; ``seconds`` until the next one counts."""

    code = "too_many"

    def __init__(self, message: str, *, seconds: int, **params: Any) -> None:
        super().__init__(message, seconds=seconds, **params)
        self.seconds = seconds


class LoopStopped(RatoonError):
    """Automations changed records in a circle; ``cycle`` names the rules in the order they ran."""

    code = "automation_loop"

    def __init__(self, message: str, *, cycle: Sequence[str], **params: Any) -> None:
        super().__init__(message, cycle=" → ".join(cycle), **params)
        self.cycle = tuple(cycle)


class BudgetSpent(LoopStopped):
    """Automations used more than one transaction may; ``cycle`` names the rules, outermost first."""

    code = "automation_budget"


class FormulaError(RatoonError):
    """A formula that does not parse, check or run. ``position`` is the 0-based character offset in the source."""

    code = "formula"

    def __init__(self, error_code: str, message: str, *, position: int | None = None, **params: Any) -> None:
        super().__init__(message, **params)
        self.error_code = error_code
        self.position = position


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of a metadata document: which file, where in it (JSON pointer), what is wrong, how to mend it."""

    file: str
    pointer: str
    code: str
    message: Text
    hint: Hint = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        hint = f" → {self.hint}" if self.hint else ""
        return f"{self.file}{'#' + self.pointer if self.pointer else ''}: {self.code}: {self.message}{hint}"


class MetadataRefused(RatoonError):
    """Documents that cannot become a registry; every problem of the package is in ``findings``."""

    code = "metadata_refused"

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("{count} problem(s) in the metadata", count=len(findings))
        self.findings = tuple(findings)
