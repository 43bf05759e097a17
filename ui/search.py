"""Global search: the box in the header while typing, and the page with everything that was found."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, request
from flask.typing import ResponseReturnValue

from ratoon.platform.metadata.model import Object
from ratoon.ui.screen import Screen, wants_fragment

ON_PAGE = 100
IN_BOX = 12


@dataclass(frozen=True)
class Hit:
    """A record that was found."""

    title: str
    url: str


@dataclass(frozen=True)
class Group:
    """What was found of one object."""

    object: Object
    hits: list[Hit]


def search(screen: Screen) -> ResponseReturnValue:
    """Records whose searchable fields contain the words, grouped by object, best first."""
    text = request.args.get("q", "").strip()[:200]
    box = wants_fragment("search-hits")
    groups: dict[str, Group] = {}
    if text:
        with screen.read() as records:
            for object, id, title in records.search(text, None, IN_BOX if box else ON_PAGE):
                group = groups.setdefault(object, Group(screen.registry[object], []))
                group.hits.append(Hit(title or id, screen.record_url(object, id)))
    count = sum(len(g.hits) for g in groups.values())
    template = "_hits.html" if box else "search.html"
    return render_template(template, screen=screen, current="", q=text, groups=list(groups.values()), count=count)
