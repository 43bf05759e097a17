"""Lint: what a package may do and will be sorry for. Nothing here is refused; each finding has a code and a mend.

========================== =====================================================================================
``not_canonical``          a document is not written the one way (``--fix`` writes it)
``unused_field``           no layout, view, formula, key … has the field
``required_not_shown``     a required field without default is on no layout, so nobody can fill it in
``unused_value_set``       no field takes the values
``rule_never``             a rule can never fire (also conditions, criteria and filters)
``rule_always``            it always fires
``view_without_index``     a view sorts or filters by what no index serves
``missing_translation``    a text has no translation into a language that the package speaks
``left_over_translation``  a translation of a text that is nowhere (``--fix`` takes it out)
``same_label``             two fields of an object read the same
``name_may_collide``       a name that a later version of another package, or a part of another field, may take
``stage_out_of_reach``     no stage leads there
========================== =====================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ratoon.platform.errors import Finding, Hint, Text, say
from ratoon.platform.metadata.documents import Document, canonical
from ratoon.platform.metadata.indexes import LONG
from ratoon.platform.metadata.lint_formulas import verdict
from ratoon.platform.metadata.lint_texts import left_over, translations, untranslated
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.screen_model import View
from ratoon.platform.metadata.used import used_fields

PARTS: Mapping[str, tuple[str, ...]] = {
    "currency": ("currency",),
    "address": ("street", "city", "state", "postal_code", "country"),
    "geolocation": ("latitude", "longitude"),
    "stage": ("pipeline",),
    "polymorphic": ("object",),
}
"""Field types with several columns → the ends of their names."""
_ENDS = {end: kind for kind, ends in PARTS.items() for end in ends}
MOST = 50
"""Missing translations that are told one by one per language."""


def lint(
    documents: Sequence[Document], registry: Registry, contents: Mapping[str, bytes] | None = None
) -> list[Finding]:
    """Findings about one package, which is part of the registry; ``contents`` are its files as they are written."""
    names = {document.package for document in documents}
    report = Report(next(iter(names)) if len(names) == 1 else None)
    work = _Lint(documents, registry, report)
    work.run()
    for document in documents:
        written = None if contents is None else contents.get(document.file)
        if written is not None and written != canonical(document.data).encode():
            message = say("The document is not written with sorted keys, two spaces and a newline at the end.")
            report.add(document, (), "not_canonical", message, say("ratoon lint --fix writes it"), severity="info")
    return list(report.sorted())


def mended(documents: Sequence[Document]) -> dict[str, bytes]:
    """File → its content, with everything mended that can be mended without asking."""
    gone = {d.data.get("locale"): set(left_over(documents, str(d.data.get("locale")))) for d in documents
            if d.kind == "strings"}  # fmt: skip
    files: dict[str, bytes] = {}
    for document in documents:
        data: Any = document.data
        if document.kind == "strings" and (useless := gone.get(data.get("locale"))):
            data = {**data, "texts": {k: v for k, v in data["texts"].items() if k not in useless}}
        files[document.file] = canonical(data).encode()
    return files


class _Lint:
    def __init__(self, documents: Sequence[Document], registry: Registry, report: Report) -> None:
        self._documents = documents
        self._registry = registry
        self._report = report

    def run(self) -> None:
        for document in self._documents:
            if document.kind in {"object", "extension"}:
                name = document.data["name"] if document.kind == "object" else document.data["object"]
                obj = self._registry.objects.get(name)
                if obj is not None:
                    self._fields(document, obj)
                    self._rules(document, obj)
            elif (obj := self._registry.objects.get(str(document.data.get("object")))) is not None:
                self._component(document, obj)
        self._value_sets()
        self._texts()

    def _warn(self, document: Document, path: Path, code: str, message: Text, hint: Hint = "") -> None:
        self._report.add(document, path, code, message, hint, severity="warning")

    # -- fields ----------------------------------------------------------------------------------------------------

    def _fields(self, document: Document, obj: Object) -> None:
        declared = [d.data for d in self._documents if d.kind == "layout" and d.data["object"] == obj.name]
        used = used_fields(obj, self._registry)
        shown = {name for layout in declared for section in layout["sections"] for name in section["fields"]}
        labels = Counter(field.label.casefold() for field in obj.fields.values() if not field.system)
        for place, data in enumerate(document.data.get("fields", ())):
            name, path = data["name"], ("fields", place)
            field = obj.fields.get(name)
            if field is None:
                continue
            if declared and name not in used and not obj.hidden:
                message = say("No layout, view or formula has the field {name}.", name=repr(name))
                self._warn(document, path, "unused_field", message, say("put it on a layout, or take it out"))
            elif (
                declared and field.required and field.default is None and not field.computed and name not in shown
                and not obj.hidden and field.type.name not in {"stage", "autonumber"}
            ):  # fmt: skip
                message = say(
                    "The field {name} is required and on no layout, so nobody can fill it in.", name=repr(name)
                )
                self._warn(
                    document, path, "required_not_shown", message, say("put it on a layout, or give it a default")
                )
            if labels[field.label.casefold()] > 1:
                message = say(
                    "Another field of {object} is called {field} too.", object=repr(obj.name), field=repr(field.label)
                )
                self._warn(document, (*path, "label"), "same_label", message, say("say what is different about them"))
            self._collision(document, (*path, "name"), obj, name)

    def _collision(self, document: Document, path: Path, obj: Object, name: str) -> None:
        stem, _, end = name.rpartition("_")
        whole = obj.fields.get(stem)
        if end == "code" and stem.endswith("_postal"):
            stem, end = stem.removesuffix("_postal"), "postal_code"
            whole = obj.fields.get(stem)
        if whole is not None and end in _ENDS and len(whole.parts) == 1:
            message = say(
                "{name} is what a part of {stem} is called when that becomes a field of type {ends}.",
                name=repr(name),
                stem=repr(stem),
                ends=_ENDS[end],
            )
            self._warn(
                document, path, "name_may_collide", message, say('for example "{stem}_{end}_text"', stem=stem, end=end)
            )
        own = document.package
        if document.kind == "extension" and own != "local" and not name.startswith(f"{own}_"):
            message = say(
                "A later version of the package {owner} may bring a field {name} of its own.",
                owner=repr(obj.owner),
                name=repr(name),
            )
            self._warn(document, path, "name_may_collide", message, say('name it "{own}_{name}"', own=own, name=name))

    # -- rules and components -------------------------------------------------------------------------------------

    def _rules(self, document: Document, obj: Object) -> None:
        rules = {rule.name: rule for rule in obj.rules}
        for place, data in enumerate(document.data.get("rules", ())):
            rule = rules.get(data.get("name", ""))
            if rule is not None and rule.active:
                self._constant(document, ("rules", place, "error_when"), verdict(rule.error_when, obj), say("rule"))

    def _component(self, document: Document, obj: Object) -> None:
        name = str(document.data.get("name", ""))
        if document.kind == "automation":
            found = next((a for a in (*obj.automations, *obj.resting) if a.name == name), None)
            if found is not None and verdict(found.condition, obj, checked=False) is False:
                self._constant(document, ("condition",), False, say("automation"))
        elif document.kind == "view":
            view = next((v for v in obj.views if v.name == name), None)
            if view is not None:
                if verdict(view.filter, obj, checked=False) is False:
                    message = say("The filter is never true: the view is always empty.")
                    self._warn(document, ("filter",), "rule_never", message, say("correct the filter"))
                for path, key in _unserved(view, obj):
                    message = say("No index serves {key}; with many records this list is slow.", key=repr(key))
                    hint = say("sort and filter by a stored field of the object itself that is not a long text")
                    self._warn(document, path, "view_without_index", message, hint)
        elif document.kind == "pipeline":
            self._pipeline(document, obj, name)

    def _pipeline(self, document: Document, obj: Object, name: str) -> None:
        pipeline = obj.pipeline(name)
        if pipeline is None:
            return
        reached = {pipeline.stages[0].name} if pipeline.stages else set()
        for stage in pipeline.stages:
            reached |= {s.name for s in pipeline.stages} if stage.next is None else set(stage.next)
        for place, stage in enumerate(pipeline.stages):
            if stage.name not in reached:
                message = say("No stage leads to {stage}.", stage=repr(stage.name))
                hint = say('name it in "next" of another stage, or take it out')
                self._warn(document, ("stages", place), "stage_out_of_reach", message, hint)
            for group, rules in (("entry", stage.entry), ("exit", stage.exit)):
                for i, rule in enumerate(rules):
                    self._constant(document, ("stages", place, group, i), verdict(rule.error_when, obj), "criterion")

    def _constant(self, document: Document, path: Path, found: bool | None, what: str) -> None:
        if found is False:
            message = say("The {what} can never fire: its condition is never true.", what=what)
            self._warn(document, path, "rule_never", message, say("correct the condition, or take it out"))
        elif found is True:
            message = say(
                "The {what} always fires: its condition is always true, so no record can be saved.", what=what
            )
            self._warn(document, path, "rule_always", message, say("correct the condition, or take it out"))

    # -- texts and value sets -------------------------------------------------------------------------------------

    def _value_sets(self) -> None:
        taken = {field.spec.option("value_set") for obj in self._registry for field in obj.fields.values()}
        for document in self._documents:
            if document.kind == "picklist" and document.data["name"] not in taken:
                message = say("No field takes the values of {name}.", name=repr(document.data["name"]))
                self._warn(document, (), "unused_value_set", message, say("take it out, or use it with value_set"))

    def _texts(self) -> None:
        spoken = sorted({str(d.data["locale"]) for d in self._documents if d.kind == "strings"})
        for locale in spoken:
            known = translations(self._documents, locale)
            missing = list(untranslated(self._documents, locale))
            for document, path, text in missing[:MOST]:
                message = say("{text} has no translation into {locale}.", text=repr(text), locale=locale)
                self._warn(
                    document,
                    path,
                    "missing_translation",
                    message,
                    say("add it to strings/{locale}.json", locale=locale),
                )
            file = next(d for d in self._documents if d.kind == "strings" and d.data["locale"] == locale)
            if len(missing) > MOST:
                message = say(
                    "{count} texts have no translation into {locale}; {count_2} have.",
                    count=len(missing),
                    locale=locale,
                    count_2=len(known),
                )
                self._warn(file, ("texts",), "missing_translation", message)
            for text in left_over(self._documents, locale):
                message = say("{text} is nowhere in the package any more.", text=repr(text))
                hint = say("ratoon lint --fix takes it out")
                self._warn(file, ("texts", text), "left_over_translation", message, hint)


def _unserved(view: View, obj: Object) -> Iterator[tuple[Path, str]]:
    """What a view sorts and filters by that no index begins with."""
    first = {columns[0] for columns in obj.indexes} | {"id", "created_at"}
    first |= {f.name for f in obj.fields.values() if f.unique or f.external_id}
    first |= {key.fields[0] for key in obj.keys}
    if view.sort and view.sort[0][0] not in first:
        yield ("sort", 0), view.sort[0][0]
    if view.filter is None:
        return
    own = [path for path in sorted(view.filter.paths) if not path.startswith("$")]
    if own and not any(path in first for path in own) and any(_slow(path, obj) for path in own):
        yield ("filter",), own[0]


def _slow(path: str, obj: Object) -> bool:
    field = obj.field_of.get(path)
    return field is None or field.volatile or field.type.name in LONG


def worth_telling(findings: Iterable[Finding]) -> list[Finding]:
    """What ``ratoon check`` shows: not how a document is written, and not what waits for a translator."""
    return [finding for finding in findings if finding.code not in {"not_canonical", "missing_translation"}]
