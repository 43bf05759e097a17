"""Reading a posted form: inputs → values for the record service, and the same inputs for showing the form again.

Nothing is judged here but what only a form has: a name typed into a lookup without choosing (looked up now), a file
that came along, wall-clock times, boxes that were not ticked. Everything else is left as text for the field types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from ratoon.platform.errors import Problem
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.service import RecordService
from ratoon.ui.files import Upload, refuse_upload
from ratoon.ui.forms import is_writable, link_attributes, list_values, local_moment
from ratoon.ui.screen import Screen

Form = MultiDict[str, str]


@dataclass
class Posted:
    """What a form brought."""

    values: dict[str, Any] = field(default_factory=dict)
    """For the record service."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """Input name → text (or list of texts), to show the form again."""
    problems: list[Problem] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    """Files to keep when the record is saved."""


def read_form(
    screen: Screen,
    records: RecordService,
    object: Object,
    form: Form,
    files: Mapping[str, FileStorage],
    *,
    resolve: bool = True,
) -> Posted:
    """Reads every field that the form contains. ``resolve`` looks up names typed into lookups."""
    posted = Posted()
    editable = screen.policy.editable_keys(screen.actor, object.name)
    for owner in object.fields.values():
        if not is_writable(owner, editable):
            continue
        kind = owner.type.name
        if kind == "many_to_many":
            _read_links(screen, records, owner, form, posted, resolve)
        elif owner.targets:
            _read_reference(records, owner, form, posted, resolve)
        elif kind in ("file", "image"):
            _read_file(owner, form, files, posted)
        else:
            _read_parts(screen, owner, form, posted)
    return posted


def _read_parts(screen: Screen, owner: Field, form: Form, posted: Posted) -> None:
    for part in owner.parts:
        if part.key not in form:
            continue
        given = form.getlist(part.key)
        if part.formula is Type.MULTI:
            posted.inputs[part.key] = posted.values[part.key] = list_values(given)
            continue
        text = given[-1]
        posted.inputs[part.key] = text
        if owner.type.name == "secret" and not text:
            continue
        if owner.type.name == "currency" and part.key != owner.name and not form.get(owner.name, "").strip():
            continue  # a code without an amount says nothing
        if owner.type.name == "datetime" and text:
            posted.values[part.key] = local_moment(text, screen.zone)
        else:
            posted.values[part.key] = text if text.strip() else None


def _read_reference(records: RecordService, owner: Field, form: Form, posted: Posted, resolve: bool) -> None:
    name = owner.name
    if name not in form and f"{name}__text" not in form:
        return
    id, text = form.get(name, "").strip(), form.get(f"{name}__text", "").strip()
    shown = form.get(f"{name}__shown", "").strip()
    target = form.get(f"{name}__object") or form.get(f"{name}_object") or owner.targets[0]
    if f"{name}__text" in form and text != shown:
        id = ""
        if text and resolve:
            id = _resolved(records, owner, text, target, posted)
    posted.inputs.update({name: id, f"{name}__text": text, f"{name}__shown": text if id else ""})
    posted.values[name] = id or None
    if len(owner.parts) > 1:
        posted.inputs[f"{name}_object"] = target
        posted.values[f"{name}_object"] = target if id else None


def _resolved(records: RecordService, owner: Field, text: str, target: str, posted: Posted) -> str:
    """The id of the one record that the typed text names; a problem when there is none or more than one."""
    so_far = {**posted.values, f"{owner.name}_object": target}
    hits = records.lookup(owner.object, owner.name, text, so_far, 10)
    exact = [h for h in hits if h[2].casefold() == text.casefold()] or hits
    if len(exact) == 1:
        return exact[0][1]
    message = "No record is called “{text}”." if not exact else "More than one record is called “{text}”; choose one."
    posted.problems.append(Problem("lookup_text", message, owner.name, {"text": text[:80]}))
    return ""


def _read_links(
    screen: Screen, records: RecordService, owner: Field, form: Form, posted: Posted, resolve: bool
) -> None:
    name = owner.name
    if f"{name}__present" not in form:
        return
    ids = list(dict.fromkeys(list_values(form.getlist(name))))
    text = form.get(f"{name}__text", "").strip()
    if text and resolve:
        found = _resolved(records, owner, text, owner.targets[0], posted)
        if found and found not in ids:
            ids.append(found)
            text = ""
    links = []
    for id in ids:
        link: dict[str, Any] = {"id": id}
        for _field, part in link_attributes(screen, owner):
            given = form.get(f"{name}__{id}__{part.key}")
            if given is not None:
                posted.inputs[f"{name}__{id}__{part.key}"] = given
                link[part.key] = given or None
        links.append(link)
    posted.inputs[name], posted.inputs[f"{name}__text"] = ids, text
    posted.values[name] = links


def _read_file(owner: Field, form: Form, files: Mapping[str, FileStorage], posted: Posted) -> None:
    name = owner.name
    if name not in form:
        return
    posted.inputs[name] = form.get(name, "")
    if form.get(f"{name}__remove"):
        posted.values[name] = None
        posted.inputs[name] = ""
    given = files.get(f"{name}__file")
    if given is None or not given.filename:
        return
    refused = refuse_upload(owner, given)
    if refused is not None:
        posted.problems.append(refused)
    else:
        posted.uploads.append(Upload(name, given))


def unchanged_keys(posted: Posted, before: Mapping[str, Any]) -> set[str]:
    """Keys whose inputs still hold what they held when the form was drawn: they need not be sent."""
    return {key for key in posted.values if key in before and key in posted.inputs and _same(posted, before, key)}


def _same(posted: Posted, before: Mapping[str, Any], key: str) -> bool:
    if posted.inputs[key] != before[key]:
        return False
    prefix = f"{key}__"
    attributes = {k: v for k, v in posted.inputs.items() if k.startswith(prefix) and k.count("__") > 1}
    return all(str(before.get(k, "")) == v for k, v in attributes.items())
