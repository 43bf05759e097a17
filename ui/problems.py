"""Problems of a save in the reader's words, sorted to where they belong: beside a field, or above the form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ratoon.platform.errors import FormulaError, Problem, RatoonError, fill
from ratoon.platform.metadata.model import Object
from ratoon.ui.screen import Screen

AT_CHARACTER = " (at character {position})"
_LABELS = frozenset({"label", "labels", "controller", "stage", "before", "pipeline", "task"})
"""Parameters of messages that are texts of metadata and are translated themselves."""
_ABOUT_OPTIONS = frozenset({"dependent_value", "inactive_value"})
"""Problems whose ``value`` and ``other`` are labels of options."""


@dataclass
class Sorted:
    """Problems by place."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    """Record key → messages."""
    summary: list[tuple[str, str, str]] = field(default_factory=list)
    """(label, message, HTML id to jump to) of every error."""
    warnings: list[str] = field(default_factory=list)
    field_warnings: dict[str, list[str]] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)
    """Addresses of records that look the same → what they are called."""


def text_of(screen: Screen, object: Object | None, problem: Problem) -> str:
    """The message with translated labels in its places."""
    params = {}
    for name, value in problem.params.items():
        if name in _LABELS and isinstance(value, str):
            params[name] = " + ".join(screen.translate(v) for v in value.split(" + "))
        elif name in ("value", "other") and problem.code in _ABOUT_OPTIONS and isinstance(value, str):
            params[name] = ", ".join(screen.translate(v) for v in value.split(", "))
        elif name == "object" and value in screen.registry.objects:
            params[name] = screen.label(screen.registry[value])
        else:
            params[name] = value
    if object is not None and problem.field and "label" in params and problem.field in object.field_of:
        params["label"] = screen.key_label(object, problem.field)
    return fill(problem.message, params, screen.translate)


def error_text(screen: Screen, error: RatoonError) -> str:
    """An error in the reader's language. One that quotes a formula error quotes it in that language too."""
    cause = error.__cause__
    if isinstance(cause, FormulaError) and "reason" in error.params:
        reason = cause.text(screen.translate)
        if cause.position is not None:
            reason += fill(AT_CHARACTER, {"position": cause.position + 1}, screen.translate)
        return fill(error.message, {**error.params, "reason": reason}, screen.translate)
    return error.text(screen.translate)


def sort_problems(screen: Screen, object: Object, problems: Iterable[Problem]) -> Sorted:
    """Problems by place and severity, in the order of the fields; infos are left out."""
    found = Sorted()
    order = {key: place for place, key in enumerate(object.field_of)}
    for problem in sorted(problems, key=lambda p: order.get(p.field or "", -1)):
        message = text_of(screen, object, problem)
        if problem.code == "duplicate":
            titles = problem.params.get("named", {})
            found.duplicates.update({screen.record_url(object.name, id): title for id, title in titles.items()})
        owner = object.field_of.get(problem.field or "")
        if problem.severity == "warning":
            if message not in found.warnings:
                found.warnings.append(message)
            if owner is not None:
                found.field_warnings.setdefault(owner.name, []).append(message)
        elif problem.severity == "error":
            label = screen.label(owner) if owner else ""
            found.summary.append((label, message, f"f-{owner.name}" if owner else ""))
            if owner is not None:
                found.fields.setdefault(owner.name, []).append(message)
    return found
