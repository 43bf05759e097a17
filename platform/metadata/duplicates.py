"""Duplicate rules of an object: names resolved, methods checked against field types, formulas compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ratoon.platform.errors import say
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.behaviour import Behaviour
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import ObjectDraft
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.matching import METHODS, DuplicateRule, Match, Method, comparable_text
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Path, Report

_BY_TYPE: Mapping[str, Method] = {"email": "email", "phone": "phone", "url": "domain", "text": "text"}
"""How a field is compared when the rule does not say."""


def duplicate_rules(
    draft: ObjectDraft, formulas: Formulas, behaviour: Behaviour, report: Report
) -> tuple[DuplicateRule, ...]:
    """The active duplicate rules of an object in the order they are asked."""
    found = []
    for document in draft.components_of("duplicate"):
        rule = _rule(draft, document, formulas, behaviour, report)
        if rule is not None and document.data.get("active", True):
            found.append(rule)
    return tuple(sorted(found, key=lambda rule: (rule.order, rule.name)))


def _rule(
    draft: ObjectDraft, document: Document, formulas: Formulas, behaviour: Behaviour, report: Report
) -> DuplicateRule | None:
    data = document.data
    matches = [_match(draft, document, ("match", i), item, behaviour, report) for i, item in enumerate(data["match"])]
    condition: Formula | None = None
    if "condition" in data:
        condition = formulas.compile(document, ("condition",), data["condition"], formulas.scopes[draft.name])
        if condition is None:
            return None
    if any(m is None for m in matches):
        return None
    return DuplicateRule(
        object=draft.name,
        name=data["name"],
        label=data["label"],
        match=tuple(m for m in matches if m is not None),
        action=data["action"],
        message=data.get("message", ""),
        condition=condition,
        scope=data.get("scope", "visible"),
        order=data.get("order", 0),
        owner=document.package,
    )


def _match(
    draft: ObjectDraft, document: Document, path: Path, item: Mapping[str, Any], behaviour: Behaviour, report: Report
) -> Match | None:
    key = item["field"]
    if not behaviour.known_key(draft, document, (*path, "field"), key):
        return None
    field = draft.keys_of.get(key)
    kind = field.spec.type if field is not None else ""
    part = next((p for p in field.parts if p.key == key), None) if field is not None else None
    type_name = "text" if part is not None and part.suffix else kind
    fitting = [name for name, types in METHODS.items() if type_name in types]
    if not fitting or part is None or part.sql is None or not part.writable:
        message = say("{key} cannot be compared: it is computed, too long or not one value.", key=repr(key))
        report.add(document, (*path, "field"), "wrong_type", message)
        return None
    method = item.get("as", _BY_TYPE.get(type_name, "exact"))
    if method not in fitting:
        message = say("A field of type {kind} cannot be compared as {method}.", kind=repr(kind), method=repr(method))
        report.add(document, (*path, "as"), "wrong_type", message, suggestion(method, fitting, say("ways that fit")))
        return None
    for option, wanted in (("drop", "company"), ("digits", "phone")):
        if option in item and method != wanted:
            message = say('"{option}" only goes with "as": "{wanted}".', option=option, wanted=wanted)
            report.add(document, (*path, option), "unknown_key", message)
    endings = {" ".join(comparable_text(text).split()) for text in item.get("drop", ())} - {""}
    match = Match(
        key=key,
        method=cast(Method, method),
        drop=tuple(sorted(endings, key=lambda text: (-len(text), text))),
        digits=item.get("digits"),
    )
    ignored = {match.comparable(value) for value in item.get("ignore", ())}
    return Match(match.key, match.method, match.drop, frozenset(v for v in ignored if v is not None), match.digits)
