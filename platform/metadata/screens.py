"""Layouts and views of an object; a default layout and a default view are made when none is declared.

The generated layout has every declared field in one section, the platform's own fields in a folded one, and a related
list for every reference that points at the object. The generated view shows the title and the first fields, newest
records first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ratoon.platform.errors import Text, say
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.behaviour import Behaviour
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, FieldDraft, ObjectDraft
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.screen_model import Layout, RelatedList, Section, View

GENERATED_COLUMNS = 6
"""Columns of a generated view."""
_NOT_A_COLUMN = frozenset({"textarea", "richtext", "json", "secret", "file", "many_to_many", "geolocation", "address"})
_SYSTEM_SECTION = ("owner", "created_at", "created_by", "modified_at", "modified_by")


class Screens:
    """What people see of an object."""

    def __init__(self, drafts: Drafts, formulas: Formulas, behaviour: Behaviour, report: Report) -> None:
        self._drafts = drafts
        self._formulas = formulas
        self._behaviour = behaviour
        self._report = report
        self._pointing = _pointing(drafts)

    def layouts(self, draft: ObjectDraft, title: str) -> tuple[Layout, ...]:
        """Declared layouts, or a generated one."""
        declared = [self._layout(draft, document) for document in draft.components_of("layout")]
        if declared:
            return tuple(sorted(declared, key=lambda layout: (layout.name != "default", layout.name)))
        own = tuple(f.name for f in draft.fields.values() if not f.system)
        sections = (
            Section("details", "Details", own),
            Section("system", "System information", _SYSTEM_SECTION, collapsed=True),
        )
        owner = draft.piece.document.package
        return (Layout(draft.name, "default", "Default", sections, self._generated_related(draft, title), owner=owner),)

    def _generated_related(self, draft: ObjectDraft, title: str) -> tuple[RelatedList, ...]:
        found = []
        for reference in self._pointing.get(draft.name, ()):
            child = self._drafts.objects[reference.object]
            if child.junction or child.name == "user":
                continue
            label = reference.data.get("related_label") or child.plural_label
            columns = tuple(k for k in self._generated_columns(child, title_key(child)) if k != reference.name)
            found.append(RelatedList(child.name, reference.name, label, columns[:5], (("id", True),)))
        return tuple(found)

    def _layout(self, draft: ObjectDraft, document: Document) -> Layout:
        data = document.data
        sections = []
        for i, section in enumerate(data.get("sections", ())):
            path: Path = ("sections", i)
            condition: Formula | None = None
            if "visible_when" in section:
                scope = self._formulas.scopes[draft.name]
                source = section["visible_when"]
                condition = self._formulas.compile(document, (*path, "visible_when"), source, scope)
            sections.append(
                Section(
                    name=section.get("name", f"section_{i + 1}"),
                    label=section["label"],
                    fields=self._fields(draft, document, (*path, "fields"), section["fields"]),
                    columns=section.get("columns", 2),
                    visible_when=condition,
                    collapsed=section.get("collapsed", False),
                )
            )
        related = [self._related(draft, document, i) for i in range(len(data.get("related", ())))]
        return Layout(
            object=draft.name,
            name=data["name"],
            label=data["label"],
            sections=tuple(sections),
            related=tuple(r for r in related if r is not None),
            highlights=self._fields(draft, document, ("highlights",), data.get("highlights", ())),
            owner=document.package,
        )

    def _fields(self, draft: ObjectDraft, document: Document, path: Path, names: Sequence[str]) -> tuple[str, ...]:
        """The fields of that name; a field that is not there, or twice, is reported."""
        found: dict[str, None] = {}
        for i, name in enumerate(names):
            if name in found:
                message = say("{name} occurs twice in this list.", name=repr(name))
                self._report.add(document, (*path, i), "duplicate", message, say("keep one of them"))
            elif name in draft.fields:
                found[name] = None
            elif not self._report.suspected(name):
                hint = suggestion(name, draft.fields)
                if name in draft.keys_of:
                    hint = say('write the field: "{keys_of}"', keys_of=draft.keys_of[name].name)
                self._report.add(
                    document,
                    (*path, i),
                    "unknown_field",
                    say("{object} has no field {name}.", object=repr(draft.name), name=repr(name)),
                    hint,
                )
        return tuple(found)

    def _related(self, draft: ObjectDraft, document: Document, index: int) -> RelatedList | None:
        data = document.data["related"][index]
        path: Path = ("related", index)
        fitting = self._pointing.get(draft.name, ())
        child = self._drafts.objects.get(data["object"])
        if child is None:
            if not self._report.suspected(data["object"]):
                near = suggestion(data["object"], [f.object for f in fitting], say("objects that point here"))
                hint = self._report.elsewhere(data["object"]) or near
                message = say("There is no object {object}.", object=repr(data["object"]))
                self._report.add(document, (*path, "object"), "unknown_object", message, hint)
            return None
        lookups = [f for f in fitting if f.object == child.name]
        lookup = next((f for f in lookups if f.name == data.get("field", f.name)), None)
        if lookup is None:
            if not self._report.suspected(data.get("field", "")):
                hint = suggestion(data.get("field", ""), [f.name for f in lookups], say("lookups that do"))
                message = say(
                    "{child}.{field} is not a reference that points at {object}.",
                    child=child.name,
                    field=data.get("field", "?"),
                    object=repr(draft.name),
                )
                self._report.add(document, (*path, "field"), "unknown_field", message, hint)
            return None
        columns = (
            data.get("columns") or [k for k in self._generated_columns(child, title_key(child)) if k != lookup.name][:5]
        )
        return RelatedList(
            object=child.name,
            field=lookup.name,
            label=data.get("label") or lookup.data.get("related_label") or child.plural_label,
            columns=self._fields(child, document, (*path, "columns"), columns),
            sort=self._sort(child, document, (*path, "sort"), data.get("sort", ["-id"])),
        )

    def _sort(
        self, draft: ObjectDraft, document: Document, path: Path, keys: Sequence[str]
    ) -> tuple[tuple[str, bool], ...]:
        found = []
        for i, written in enumerate(keys):
            key, descending = written.removeprefix("-"), written.startswith("-")
            if not self._behaviour.known_key(draft, document, (*path, i), key):
                continue
            field = draft.keys_of.get(key)
            if field is None or not any(p.key == key and p.sortable and p.sql is not None for p in field.parts):
                what = (
                    say("is computed when it is read") if field is not None and field.volatile else say("has no order")
                )
                self._report.add(
                    document,
                    (*path, i),
                    "not_sortable",
                    say("Lists cannot be sorted by {key}: it {what}.", key=repr(key), what=what),
                )
                continue
            found.append((key, descending))
        return tuple(found)

    def views(self, draft: ObjectDraft, title: str) -> tuple[View, ...]:
        """Declared views in their order, or a generated one; exactly one is the default."""
        made = [self._view(draft, document) for document in draft.components_of("view")]
        views = sorted((v for v in made if v is not None), key=lambda v: (v.order, v.name))
        if not views:
            columns = self._generated_columns(draft, title)
            owner = draft.piece.document.package
            return (View(draft.name, "all", "All", columns, sort=(("id", True),), default=True, owner=owner),)
        first = next((v for v in views if v.default), views[0])
        return tuple(replace(v, default=v is first) for v in views)

    def _generated_columns(self, draft: ObjectDraft, title: str) -> tuple[str, ...]:
        own = [f.name for f in draft.fields.values() if not f.system and f.spec.type not in _NOT_A_COLUMN]
        columns = dict.fromkeys([title, *own] if title != "id" else own)
        return (*list(columns)[: GENERATED_COLUMNS - 1], "modified_at")

    def _view(self, draft: ObjectDraft, document: Document) -> View | None:
        data = document.data
        kind = data.get("type", "list")
        condition: Formula | None = None
        if data.get("filter"):
            scope = self._formulas.scopes[draft.name]
            condition = self._formulas.compile(
                document, ("filter",), data["filter"], scope, pushed_down=True, change=False
            )
        return View(
            object=draft.name,
            name=data["name"],
            label=data["label"],
            columns=self._fields(draft, document, ("columns",), data["columns"]),
            kind=kind,
            filter=condition,
            filter_source=data.get("filter", ""),
            sort=self._sort(draft, document, ("sort",), data.get("sort", ["-id"])),
            group_by=self._grouping(draft, document, kind),
            date_field=self._date(draft, document, kind),
            default=data.get("default", False),
            order=data.get("order", 0),
            owner=document.package,
        )

    def _grouping(self, draft: ObjectDraft, document: Document, kind: str) -> str | None:
        fitting = [f.name for f in draft.fields.values() if f.spec.type in {"picklist", "stage"}]
        return self._one_of(draft, document, "group_by", kind == "board", fitting, say("picklists and stages"))

    def _date(self, draft: ObjectDraft, document: Document, kind: str) -> str | None:
        fitting = [f.name for f in draft.fields.values() if f.spec.type in {"date", "datetime"}]
        return self._one_of(draft, document, "date_field", kind == "calendar", fitting, say("dates"))

    def _one_of(
        self, draft: ObjectDraft, document: Document, key: str, needed: bool, fitting: Sequence[str], what: Text
    ) -> str | None:
        name = document.data.get(key)
        if name is None:
            if needed:
                message = say('A {type} needs "{key}".', type=document.data["type"], key=key)
                self._report.add(document, (), "missing_key", message, suggestion("", fitting, what))
            return None
        if name in fitting:
            return str(name)
        if not self._report.suspected(name):
            message = say(
                "{name} is not one of the {what} of {object}.", name=repr(name), what=what, object=repr(draft.name)
            )
            self._report.add(document, (key,), "unknown_field", message, suggestion(name, fitting, what))
        return None


def title_key(draft: ObjectDraft) -> str:
    """The field that names a record: the declared one, else ``name``, else the first text, else ``id``."""
    declared = draft.piece.data.get("title")
    if isinstance(declared, str) and declared in draft.fields:
        return declared
    if "name" in draft.fields:
        return "name"
    texts = (f.name for f in draft.fields.values() if f.spec.type in {"text", "autonumber", "email"} and not f.system)
    return next(texts, "id")


def _pointing(drafts: Drafts) -> Mapping[str, list[FieldDraft]]:
    """Object → declared references that point at it."""
    found: dict[str, list[FieldDraft]] = {}
    for draft in drafts.objects.values():
        for field in draft.fields.values():
            if field.type.reference and not field.system:
                for target in field.spec.targets:
                    found.setdefault(target, []).append(field)
    return found
