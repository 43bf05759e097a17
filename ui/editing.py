"""Making, changing, deleting and restoring records through forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.errors import Conflict, Problem, Stale, ValidationFailed
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.ui import forms
from ratoon.ui.conditions import draft_of
from ratoon.ui.files import attach, keep_uploads
from ratoon.ui.lists import title_of
from ratoon.ui.posting import Posted, read_form, unchanged_keys
from ratoon.ui.present import Presenter, Shown
from ratoon.ui.problems import sort_problems, text_of
from ratoon.ui.screen import Screen

Stored = Mapping[str, Any]


def new(screen: Screen, object: str) -> ResponseReturnValue:
    """The form of a new record, and its saving. Fields can be filled in beforehand through the query string."""
    found = screen.object(object, "create")
    if request.method == "POST":
        return _save(screen, found, None)
    with screen.read() as records:
        presenter = Presenter(screen)
        given = {k: v for k, v in request.args.items() if k in found.parts and v}
        if "owner" in found.fields and screen.actor.id:
            given.setdefault("owner", screen.actor.id)
        draft = draft_of(records, found, given)
        presenter.load_titles(records, found, [draft.row], found.fields)
        inputs = forms.inputs_from(screen, found, draft.row, presenter)
        sections = forms.build(screen, found, draft, inputs, presenter)
    return _form(screen, found, sections, None)


def edit(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """The form of a record, and its saving."""
    found = screen.object(object, "edit")
    if request.method == "POST" and not request.form.get("__again"):
        return _save(screen, found, id)
    with screen.read() as records:
        stored = records.get(object, id)
        presenter = Presenter(screen)
        given: dict[str, Any] = {}
        if request.method == "POST":
            given = read_form(screen, records, found, request.form, {}, resolve=False).values
        elif found.stage_field and request.args.get("stage"):
            given[found.stage_field.name] = request.args["stage"]
        draft = draft_of(records, found, given, stored)
        presenter.load_titles(records, found, [draft.row, stored], found.fields)
        inputs = forms.inputs_from(screen, found, {**draft.row, **_links(found, stored)}, presenter)
        sections = forms.build(screen, found, draft, inputs, presenter, record_id=id)
    return _form(screen, found, sections, stored)


def _links(object: Object, stored: Stored) -> dict[str, Any]:
    return {f.name: stored.get(f.name) for f in object.fields.values() if f.junction}


def _form(
    screen: Screen,
    object: Object,
    sections: Sequence[forms.FormSection],
    stored: Stored | None,
    problems: Sequence[Problem] = (),
    version: int | None = None,
) -> ResponseReturnValue:
    """The form page; 422 when something is wrong with what was sent."""
    sorted_ = sort_problems(screen, object, problems)
    id = stored["id"] if stored else None
    title = title_of(object, dict(stored)) if stored else ""
    label = screen.label(object)
    back = request.values.get("__back") or request.args.get("back") or ""
    cancel = local_path(back) or (
        url_for("screens.record", object=object.name, id=id) if id else url_for("screens.records", object=object.name)
    )
    body = render_template(
        "form.html",
        screen=screen,
        current=object.name,
        object=object,
        sections=sections,
        id=id,
        title=title,
        heading=_("Edit %(title)s", title=title) if id else _("New %(object)s", object=label),
        action=url_for("screens.edit", object=object.name, id=id) if id else url_for("screens.new", object=object.name),
        version=(version if version is not None else stored["version"]) if stored else None,
        back=local_path(back),
        cancel=cancel,
        error_count=len(sorted_.summary),
        problem_list=sorted_.summary,
        warning_list=sorted_.warnings,
        duplicates=sorted_.duplicates,
    )
    return body, 422 if problems else 200


def local_path(text: str) -> str:
    """A path of this site, or nothing: a redirect never leaves it."""
    plain = text.isprintable() and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else ""


@dataclass(frozen=True)
class Attempt:
    """What became of a save."""

    record: dict[str, Any]
    notices: Sequence[Problem]
    """What the rules want to be known, without refusing anything."""
    seen: bool = True
    """Whether who saved it may still see it: a record that went to somebody else may be out of reach."""


def _save(screen: Screen, object: Object, id: str | None) -> ResponseReturnValue:
    version = _number(request.form.get("__version"))
    try:
        attempt = screen.transact(lambda records: _attempt(screen, records, object, id, version))
    except ValidationFailed as refused:
        return _again(screen, object, id, refused.problems, version)
    except Conflict as refused:
        problem = Problem(refused.code, refused.message, params=refused.params)
        return _again(screen, object, id, [problem], version)
    except Stale as stale:
        return _stale(screen, object, str(id), stale.current)
    record = attempt.record
    for notice in attempt.notices:
        flash(text_of(screen, object, notice), "info")
    flash(_("“%(title)s” was saved.", title=title_of(object, record)), "success")
    back = local_path(request.form.get("__back", ""))
    if not attempt.seen:
        flash(_("It belongs to somebody else now and is not shown to you any more."), "info")
        return redirect(back or url_for("screens.records", object=object.name), 303)
    return redirect(back or screen.record_url(object.name, record["id"]), 303)


def _attempt(screen: Screen, records: RecordService, object: Object, id: str | None, version: int | None) -> Attempt:
    posted = read_form(screen, records, object, request.form, request.files)
    stored = None
    if id is not None:
        stored = records.get(object.name, id)
        presenter = Presenter(screen)
        before = forms.inputs_from(screen, object, stored, presenter)
        for key in unchanged_keys(posted, before):
            posted.values.pop(key)
    acknowledge = bool(request.form.get("__acknowledge"))
    keep_uploads(screen, records, object, posted)
    try:
        if id is None:
            record = records.create(object.name, [posted.values], acknowledge=acknowledge)[0]
        else:
            record = records.update(object.name, [Change(id, posted.values, version)], acknowledge=acknowledge)[0]
    except ValidationFailed as refused:
        named = {p.field for p in posted.problems}
        rest = [p for p in refused.problems if p.field not in named]
        raise ValidationFailed([*posted.problems, *rest]) from refused
    if posted.problems:
        raise ValidationFailed(posted.problems)
    attach(records, object.name, record["id"], posted)
    seen = record["id"] in records.titles(object.name, [record["id"]])
    return Attempt(record, [n for n in records.notices if n.severity == "info"], seen)


def _again(
    screen: Screen, object: Object, id: str | None, problems: Sequence[Problem], version: int | None
) -> ResponseReturnValue:
    """The same form with what was typed and everything that is wrong."""
    sorted_ = sort_problems(screen, object, problems)
    with screen.read() as records:
        stored = records.get(object.name, id) if id else None
        presenter = Presenter(screen)
        posted = read_form(screen, records, object, request.form, {})
        draft = draft_of(records, object, posted.values, stored)
        _want_links(records, object, presenter, posted)
        presenter.load_titles(records, object, [draft.row, stored or {}], object.fields)
        inputs = {**forms.inputs_from(screen, object, draft.row, presenter), **posted.inputs}
        sections = forms.build(
            screen, object, draft, inputs, presenter,
            record_id=id, messages=sorted_.fields, warnings=sorted_.field_warnings,
        )  # fmt: skip
    return _form(screen, object, sections, stored, problems, version)


def _want_links(records: RecordService, object: Object, presenter: Presenter, posted: Posted) -> None:
    for owner in object.fields.values():
        if owner.junction and posted.inputs.get(owner.name):
            presenter.want(records, {owner.targets[0]: posted.inputs[owner.name]})


def form_state(screen: Screen, object: str) -> ResponseReturnValue:
    """What applies after a change in the form: the fields and sections that depend on it, drawn again."""
    id = request.args.get("id")
    found = screen.object(object, "edit" if id else "create")
    changed = request.form.get("__changed", "")
    with screen.read() as records:
        stored = records.get(object, id) if id else None
        presenter = Presenter(screen)
        posted = read_form(screen, records, found, request.form, {}, resolve=False)
        draft = draft_of(records, found, posted.values, stored)
        _want_links(records, found, presenter, posted)
        presenter.load_titles(records, found, [draft.row, stored or {}], found.fields)
        inputs = {**forms.inputs_from(screen, found, draft.row, presenter), **posted.inputs}
        sections = forms.build(screen, found, draft, inputs, presenter, record_id=id)
    fields = [f for s in sections for f in s.fields if depends_on_others(found, f.field.name) and f.name != changed]
    pipeline_changed = found.stage_field and changed == f"{found.stage_field.name}_pipeline"
    if pipeline_changed:
        fields += [f for s in sections for f in s.fields if found.stage_field and f.name == found.stage_field.name]
    return render_template("_form_state.html", screen=screen, object=found, sections=sections, fields=fields)


def depends_on_others(object: Object, name: str) -> bool:
    """Whether a field may look different after another one changed."""
    field = object.fields[name]
    conditions = (field.visible_when, field.required_when, field.read_only_when)
    staged = any(name in s.required_fields for p in object.pipelines for s in p.stages)
    return any(conditions) or bool(field.spec.option("depends_on")) or staged


@dataclass(frozen=True)
class Difference:
    """A field in both versions."""

    label: str
    yours: str
    theirs: Shown
    differs: bool


def _stale(screen: Screen, object: Object, id: str, current: Stored) -> ResponseReturnValue:
    """Both versions side by side; nothing is lost whichever is kept."""
    with screen.read() as records:
        presenter = Presenter(screen)
        current = records.get(object.name, id)
        posted = read_form(screen, records, object, request.form, {}, resolve=False)
        presenter.load_titles(records, object, [current, posted.values], object.fields)
        presenter.want(records, {"user": [current["modified_by"]] if current.get("modified_by") else []})
        before = forms.inputs_from(screen, object, current, presenter)
        draft = draft_of(records, object, posted.values, current)
    differences = []
    same = unchanged_keys(posted, before)
    for owner in object.fields.values():
        keys = [p.key for p in owner.parts if p.key in posted.values and p.key not in same]
        if not keys or owner.type.name == "secret":
            continue
        yours = presenter.show_field(owner, {**draft.row, **{k: v for k, v in posted.values.items() if owner.junction}})
        differences.append(Difference(screen.label(owner), in_text(yours), presenter.show_field(owner, current), True))
    hidden = ("csrf_token", "__version")
    kept = [(k, v) for k, values in request.form.lists() for v in values if k not in hidden]
    body = render_template(
        "stale.html",
        screen=screen,
        current=object.name,
        object=object,
        id=id,
        title=title_of(object, dict(current)),
        current_version=current["version"],
        posted=kept,
        differences=differences,
        saved_by=_saved_by(presenter, current),
    )
    return body, 409


def in_text(shown: Shown) -> str:
    """A shown value as plain text."""
    if shown.kind == "boolean":
        return _("Yes") if shown.text == "yes" else _("No")
    return shown.text or ", ".join([*(b.text for b in shown.badges), *(x.text for x in shown.links)]) or "—"


def _saved_by(presenter: Presenter, current: Stored) -> str:
    name = presenter.titles.get("user", {}).get(str(current.get("modified_by")), "Ratoon")
    return _("Saved by %(name)s, %(when)s", name=name, when=presenter.moment(current.get("modified_at")))


def delete(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """Asks, and deletes."""
    found = screen.object(object, "delete")
    refused = ""
    with screen.read() as records:
        record = records.get(object, id)
    if request.method == "POST":
        version = _number(request.form.get("version"))
        try:
            screen.transact(lambda r: r.delete(object, [id], {id: version} if version is not None else None))
        except Stale:
            refused = _("Somebody changed this record meanwhile. Look at it again before deleting it.")
        except Conflict as conflict:
            refused = text_of(screen, found, Problem(conflict.code, conflict.message, params=conflict.params))
        else:
            flash(_("“%(title)s” is in the recycle bin.", title=title_of(found, record)), "success")
            return redirect(url_for("screens.records", object=object), 303)
    body = render_template(
        "delete.html", screen=screen, current=object, object=found, id=id, title=title_of(found, record),
        version=record["version"], refused=refused,
    )  # fmt: skip
    return body, 409 if refused else 200


def restore(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """Takes a record out of the recycle bin."""
    found = screen.object(object, "delete")
    try:
        record = screen.transact(lambda records: records.restore(object, [id]))[0]
    except ValidationFailed as refused:
        flash(" ".join(text_of(screen, found, p) for p in refused.problems), "danger")
        return redirect(url_for("screens.trash", object=object), 303)
    except Conflict as refused:
        flash(text_of(screen, found, Problem(refused.code, refused.message, params=refused.params)), "danger")
        return redirect(url_for("screens.trash", object=object), 303)
    flash(_("“%(title)s” is back.", title=title_of(found, record)), "success")
    return redirect(screen.record_url(object, id), 303)


@dataclass(frozen=True)
class Discarded:
    """A record in the recycle bin."""

    id: str
    title: str
    when: str


def trash(screen: Screen, object: str) -> ResponseReturnValue:
    """The recycle bin of an object."""
    found = screen.object(object)
    cursor = request.args.get("cursor") or None
    with screen.read() as records:
        fields = [*screen.title_keys(found), "deleted_at"]
        page = records.list(Query(object, deleted=True, sort=["-deleted_at"], cursor=cursor, limit=50, fields=fields))
    presenter = Presenter(screen)
    rows = [
        Discarded(r["id"], title_of(found, r), _("Deleted %(when)s", when=presenter.moment(r["deleted_at"])))
        for r in page.records
    ]
    next_url = url_for("screens.trash", object=object, cursor=page.next_cursor) if page.next_cursor else ""
    return render_template("trash.html", screen=screen, current=object, object=found, rows=rows, next_url=next_url)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() and len(text) < 18 else None
