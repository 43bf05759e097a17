"""Actions that run after the commit: their options are compiled, their formulas checked, their branches followed.

They are ordinary ``Action`` values. What a kind takes beyond ``values``, ``object`` and ``path`` is in ``options``,
with formulas compiled:

================ ============================================================================================
upsert_record    ``key``
send_email       ``template`` or ``subject`` and ``text`` (formulas); ``to``, ``cc``, ``bcc``, ``reply_to``
notify           ``to``; ``template`` or ``subject`` and ``text``
call_webhook     ``url``, ``method``, ``headers``, ``timeout``; ``values`` make the body, any key
wait             ``seconds`` or ``until``
branch           ``cases``: pairs of condition and actions; ``otherwise``: actions
================ ============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import Hint, Text, say
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, ObjectDraft, Piece
from ratoon.platform.metadata.model import Action
from ratoon.platform.metadata.names import suggestion

if TYPE_CHECKING:
    from ratoon.platform.formulas import Formula
    from ratoon.platform.metadata.formulas import Formulas
    from ratoon.platform.metadata.report import Path, Report

LATER_ACTIONS = frozenset({"upsert_record", "send_email", "notify", "call_webhook", "wait", "branch"})
"""Kinds that only run after the commit."""
TAKES: Mapping[str, frozenset[str]] = {
    "set_fields": frozenset({"values"}),
    "create_record": frozenset({"values", "object"}),
    "update_related": frozenset({"values", "path"}),
    "upsert_record": frozenset({"values", "object", "key"}),
    "send_email": frozenset({"template", "subject", "text", "to", "cc", "bcc", "reply_to"}),
    "notify": frozenset({"template", "subject", "text", "to", "kind"}),
    "call_webhook": frozenset({"url", "method", "headers", "timeout", "values"}),
    "wait": frozenset({"for", "until"}),
    "branch": frozenset({"cases", "otherwise"}),
}
"""Kind of action → the keys that mean something to it."""
ADDRESSES = ("to", "cc", "bcc", "reply_to")
UNITS: Mapping[str, int] = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


class LaterActions:
    """Compiles the actions that only run after the commit. ``inner`` compiles an action of any kind."""

    def __init__(
        self, drafts: Drafts, formulas: Formulas, report: Report, inner: Callable[[ObjectDraft, Piece], Action]
    ) -> None:
        self._drafts = drafts
        self._formulas = formulas
        self._report = report
        self._inner = inner

    def check_keys(self, piece: Piece) -> None:
        """Reports keys that mean nothing to this kind of action, and kinds that need the commit."""
        kind = piece.data["type"]
        takes = TAKES.get(kind)
        if takes is not None:
            for key in piece.data:
                if key != "type" and key not in takes:
                    owners = [name for name, keys in TAKES.items() if key in keys]
                    hint = (
                        say("{key} goes with {owners}", key=repr(key), owners=", ".join(owners))
                        if owners
                        else say("keys: {known}", known=", ".join(sorted(takes)))
                    )
                    self._add(
                        piece,
                        (key,),
                        "unknown_key",
                        say("{kind} takes no {key}.", kind=repr(kind), key=repr(key)),
                        hint,
                    )
        if kind in LATER_ACTIONS and piece.document.data["when"] != "after_commit":
            message = say("{kind} only runs when the transaction is safe.", kind=repr(kind))
            self._add(piece, ("type",), "not_before", message, say('write "when": "after_commit"'))

    def options(self, draft: ObjectDraft, piece: Piece) -> Mapping[str, Any]:
        """The compiled options of an action of one of these kinds."""
        kind, data = piece.data["type"], piece.data
        if kind == "upsert_record":
            return {"key": self._key(piece)}
        if kind in ("send_email", "notify"):
            return self._message(draft, piece)
        if kind == "call_webhook":
            return self._call(piece)
        if kind == "wait":
            return self._wait(draft, piece)
        cases = [
            (self._formula(draft, piece, ("cases", i, "condition"), case["condition"], Type.BOOLEAN),
             self._list(draft, piece, ("cases", i, "actions"), case["actions"]))
            for i, case in enumerate(data.get("cases", ()))
        ]  # fmt: skip
        if not cases:
            self._add(piece, (), "missing_key", say('"cases" is missing: what are the conditions?'))
        otherwise = self._list(draft, piece, ("otherwise",), data.get("otherwise", ()))
        return {"cases": tuple((c, a) for c, a in cases if c is not None), "otherwise": otherwise}

    def free_values(self, draft: ObjectDraft, piece: Piece) -> Mapping[str, Formula]:
        """Values with any key: the body of a call."""
        found = {}
        for key, source in piece.data.get("values", {}).items():
            formula = self._formula(draft, piece, ("values", key), source, None)
            if formula is not None:
                found[key] = formula
        return found

    def _add(self, piece: Piece, path: Path, code: str, message: Text, hint: Hint = "") -> None:
        self._report.add(piece.document, (*piece.path, *path), code, message, hint)

    def _formula(self, draft: ObjectDraft, piece: Piece, path: Path, source: str, expects: Type | None) -> Any:
        return self._formulas.compile(
            piece.document, piece.at(*path), source, self._formulas.scopes[draft.name], expects
        )

    def _list(self, draft: ObjectDraft, piece: Piece, path: Path, actions: Sequence[Mapping[str, Any]]) -> Any:
        return tuple(
            self._inner(draft, Piece(piece.document, piece.at(*path, i), action)) for i, action in enumerate(actions)
        )

    def _key(self, piece: Piece) -> str | None:
        target = self._drafts.objects.get(piece.data.get("object") or "")
        key = piece.data.get("key")
        if key is None:
            self._add(piece, (), "missing_key", say('"key" is missing: by which field is the record found?'))
        elif target is not None:
            named = [f.name for f in target.fields.values() if f.data.get("external_id") or f.data.get("unique")]
            if key not in named:
                message = say("{key} is no external id of {object}.", key=repr(key), object=repr(target.name))
                self._add(piece, ("key",), "unknown_field", message, suggestion(str(key), named))
            elif key not in piece.data.get("values", {}):
                self._add(piece, ("values",), "missing_key", say("The values say nothing of {key}.", key=repr(key)))
        return key

    def _message(self, draft: ObjectDraft, piece: Piece) -> Mapping[str, Any]:
        data = piece.data
        found: dict[str, Any] = {"template": data.get("template"), "kind": data.get("kind")}
        if found["template"] is not None:
            self._template(draft, piece, found["template"])
        elif "subject" not in data:
            self._add(piece, (), "missing_key", say('Say what is written: a "template", or "subject" and "text".'))
        if "to" not in data:
            self._add(piece, (), "missing_key", say('"to" is missing: a formula that gives addresses or a user.'))
        for key in ADDRESSES:
            if key in data:
                found[key] = self._formula(draft, piece, (key,), data[key], None)
        for key in ("subject", "text"):
            if key in data:
                found[key] = self._formula(draft, piece, (key,), data[key], Type.TEXT)
        return found

    def _template(self, draft: ObjectDraft, piece: Piece, name: str) -> None:
        known: dict[str, Document] = {d.data["name"]: d for d in self._drafts.templates}
        document = known.get(name)
        fitting = [n for n, d in known.items() if d.data.get("object") in (None, draft.name)]
        if document is None:
            if not self._report.suspected(name):
                message = say("There is no template {name}.", name=repr(name))
                self._add(
                    piece, ("template",), "unknown_template", message, suggestion(name, fitting, say("templates"))
                )
        elif name not in fitting:
            message = say(
                "The template {name} is about {object}, not {object_2}.",
                name=repr(name),
                object=repr(document.data["object"]),
                object_2=repr(draft.name),
            )
            self._add(piece, ("template",), "wrong_object", message, suggestion("", fitting, say("templates")))

    def _call(self, piece: Piece) -> Mapping[str, Any]:
        data = piece.data
        if "url" not in data:
            self._add(piece, (), "missing_key", say('"url" is missing: whom to call?'))
        return {
            "url": data.get("url", ""),
            "method": data.get("method", "POST"),
            "headers": dict(data.get("headers", {})),
            "timeout": data.get("timeout", 10),
        }

    def _wait(self, draft: ObjectDraft, piece: Piece) -> Mapping[str, Any]:
        data = piece.data
        if ("for" in data) == ("until" in data):
            self._add(piece, (), "missing_key", say('Say how long to wait: either "for" or "until".'))
        if "until" in data:
            return {"until": self._formula(draft, piece, ("until",), data["until"], None)}
        return {"seconds": sum(UNITS[unit] * count for unit, count in data.get("for", {}).items())}
