"""Drafts of fields become ``Field`` values: their formulas compiled, their contradictions refused."""

from __future__ import annotations

from typing import cast

from ratoon.platform.errors import say
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.drafts import FieldDraft, ObjectDraft
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.indexes import LONG
from ratoon.platform.metadata.model import Field, OnDelete
from ratoon.platform.metadata.report import Report


def finish_fields(draft: ObjectDraft, formulas: Formulas, report: Report) -> dict[str, Field]:
    """The fields of one object, declared ones first."""
    return {name: _finish(field, formulas, report) for name, field in draft.fields.items()}


def _finish(draft: FieldDraft, formulas: Formulas, report: Report) -> Field:
    data = draft.data
    _contradictions(draft, report)
    if draft.system:
        return Field(
            object=draft.object,
            spec=draft.spec,
            type=draft.type,
            parts=draft.parts,
            label=draft.spec.label,
            owner="system",
            system=True,
            on_delete="restrict" if draft.type.reference else None,
        )
    return Field(
        object=draft.object,
        spec=draft.spec,
        type=draft.type,
        parts=draft.parts,
        label=draft.spec.label,
        owner=draft.piece.document.package,
        required=data.get("required", draft.spec.type == "master_detail"),
        unique=data.get("unique", False) or data.get("external_id", False),
        external_id=data.get("external_id", False),
        searchable=data.get("searchable", False),
        track_history=data.get("track_history", False),
        sensitivity=data.get("sensitivity", "none"),
        help=data.get("help", ""),
        placeholder=data.get("placeholder", ""),
        default=_default(draft, formulas, report) if "default" in data else None,
        on_delete=_on_delete(draft, report),
        lookup_filter=_lookup_filter(draft, formulas) if "filter" in data and draft.type.reference else None,
        formula=draft.formula,
        in_sql=_in_sql(draft, formulas),
        rollup=draft.rollup,
        junction=draft.junction,
        visible_when=_condition(draft, "visible_when", formulas),
        required_when=_condition(draft, "required_when", formulas),
        read_only_when=_condition(draft, "read_only_when", formulas),
    )


def _in_sql(draft: FieldDraft, formulas: Formulas) -> Formula | None:
    formula, piece = draft.formula, draft.piece
    if formula is None or not formula.volatile or formula.type is not Type.NUMBER:
        return None
    scale = draft.parts[0].scale
    if scale is None or formula.sql_refusal is not None:
        return None
    units = " * 100" if draft.spec.option("returns") == "percent" else ""
    source = f"ROUND(({formula.source}){units}, {scale})"
    scope = formulas.scopes[draft.object]
    return formulas.compile(piece.document, piece.at("formula"), source, scope, Type.NUMBER, blanks=formula.blanks)


def _condition(draft: FieldDraft, key: str, formulas: Formulas) -> Formula | None:
    piece = draft.piece
    if key not in draft.data:
        return None
    return formulas.compile(piece.document, piece.at(key), draft.data[key], formulas.scopes[draft.object])


def _default(draft: FieldDraft, formulas: Formulas, report: Report) -> Formula | None:
    piece, kind = draft.piece, draft.parts[0].formula if draft.parts else None
    if draft.type.computed or kind in {None, Type.GEO}:
        message = say("A field of type {type} cannot have a default.", type=repr(draft.spec.type))
        report.add(piece.document, piece.at("default"), "no_default", message, say('take "default" out'))
        return None
    scope = formulas.scopes[draft.object]
    return formulas.compile(piece.document, piece.at("default"), draft.data["default"], scope, kind)


def _lookup_filter(draft: FieldDraft, formulas: Formulas) -> Formula | None:
    """Compiled against the target; ``$source`` is the record that holds the lookup."""
    if len(draft.spec.targets) != 1:
        return None
    scope = formulas.scopes[draft.spec.targets[0]].with_source(formulas.scopes[draft.object])
    piece = draft.piece
    return formulas.compile(
        piece.document, piece.at("filter"), draft.data["filter"], scope, pushed_down=True, change=False
    )


def _on_delete(draft: FieldDraft, report: Report) -> OnDelete | None:
    if not draft.type.reference:
        return None
    if draft.spec.type == "master_detail":
        return "cascade"
    required = draft.data.get("required", False)
    declared = draft.data.get("on_delete")
    if declared is None:
        return "restrict" if required else "set_null"
    if required and declared == "set_null":
        piece = draft.piece
        message = say("A required reference cannot be emptied when its target is deleted.")
        report.add(
            piece.document,
            piece.at("on_delete"),
            "contradiction",
            message,
            say('use "restrict" or "cascade", or drop "required"'),
        )
    return cast("OnDelete", declared)


def _contradictions(draft: FieldDraft, report: Report) -> None:
    """Options that are fine each and make no sense together."""
    data, piece = draft.data, draft.piece
    low, high = data.get("min"), data.get("max")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
        message = say("The smallest value {low} is larger than the largest {high}.", low=low, high=high)
        report.add(piece.document, piece.at("min"), "contradiction", message)
    precision, scale = draft.spec.option("precision", 18), data.get("scale")
    if isinstance(scale, int) and isinstance(precision, int) and scale > precision:
        message = say(
            "A number of {precision} digits cannot have {scale} decimal places.", precision=precision, scale=scale
        )
        report.add(piece.document, piece.at("scale"), "contradiction", message, say("precision counts all digits"))
    for key in ("unique", "external_id"):
        if data.get(key) and not _can_be_unique(draft):
            message = say("A field of type {type} cannot be unique.", type=repr(draft.spec.type))
            hint = say("use a text, a number, a date or a reference")
            report.add(piece.document, piece.at(key), "not_unique", message, hint)


def _can_be_unique(draft: FieldDraft) -> bool:
    stored = len(draft.parts) > 0 and draft.parts[0].sql is not None
    return stored and draft.spec.type not in LONG and not (draft.type.computed and draft.spec.type != "autonumber")
