"""The type-ahead of lookups: records that match what was typed and that the lookup's filter lets through."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, request
from flask.typing import ResponseReturnValue

from ratoon.platform.errors import NotFound
from ratoon.ui.conditions import draft_of
from ratoon.ui.posting import read_form
from ratoon.ui.screen import Screen

HITS = 8


@dataclass(frozen=True)
class Hit:
    """A record to choose."""

    id: str
    title: str
    detail: str


def lookup(screen: Screen, object: str, field: str) -> ResponseReturnValue:
    """Options for what stands in the text box; the rest of the form is what ``$source`` means in the filter."""
    found = screen.object(object)
    owner = found.fields.get(field)
    if owner is None or not owner.targets:
        raise NotFound("{object} has no lookup {name}.", object=object, name=field)
    text = request.form.get(f"{field}__text", "").strip()[:200]
    if text == request.form.get(f"{field}__shown", "").strip():
        text = ""
    target = request.form.get(f"{field}_object") if len(owner.parts) > 1 else None
    taken = set(request.form.getlist(field)) if owner.junction else set()
    with screen.read() as records:
        posted = read_form(screen, records, found, request.form, {}, resolve=False)
        so_far = draft_of(records, found, posted.values).row
        if target:
            so_far[f"{field}_object"] = target
        hits = records.lookup(object, field, text, so_far, HITS + len(taken))
    chosen = [h for h in hits if h[1] not in taken][:HITS]
    options = [Hit(id, title or id, _detail(screen, owner.targets, of)) for of, id, title in chosen]
    return render_template("_options.html", options=options)


def _detail(screen: Screen, targets: tuple[str, ...], object: str) -> str:
    return screen.label(screen.registry[object]) if len(targets) > 1 else ""
