"""The second step of compilation: declared fields become specs with parts, and many-to-many fields get their junctions.

References are resolved here (objects, value sets, controlling picklists), names are checked, and every key that a
record will have is known afterwards: ``ObjectDraft.keys_of``. Rollups take the type of what they aggregate, so they are
built last (``rollups.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.fields.base import FieldSpec, FieldTypes, Option
from ratoon.platform.metadata.collect import required
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, FieldDraft, ObjectDraft, Piece
from ratoon.platform.metadata.model import EMPTY, LINK_LABEL
from ratoon.platform.metadata.names import MAX_KEY, field_problem, shape_problem, suggestion, type_suggestion
from ratoon.platform.metadata.report import Report
from ratoon.platform.metadata.system_fields import SystemField

MAX_FIELDS = 500
"""Fields that one object may declare (PostgreSQL has room for 1600 columns)."""
_STAGE = "stage"
_CHOSEN = frozenset({"picklist", "multipicklist"})


class FieldBuilder:
    """Builds the fields of all objects of one set of documents."""

    def __init__(self, drafts: Drafts, types: FieldTypes, system: Sequence[SystemField], report: Report) -> None:
        self._drafts = drafts
        self._types = types
        self._declarable = frozenset(types.declarable())
        self._system = system
        self._report = report
        self.value_sets: dict[str, tuple[Option, ...]] = {
            name: options_of(doc.data["values"]) for name, doc in drafts.value_sets.items()
        }

    def build(self) -> None:
        """Every field except the parts of rollups, which ``rollups.py`` adds; then ``finish``."""
        for name, document in self._drafts.value_sets.items():
            self._unique_values(Piece(document, (), document.data), name)
        for draft in list(self._drafts.objects.values()):
            if len(draft.declared) > MAX_FIELDS:
                message = say(
                    "{object} declares {count} fields; at most {max_fields} are allowed.",
                    object=repr(draft.name),
                    count=len(draft.declared),
                    max_fields=MAX_FIELDS,
                )
                self._report.add(draft.piece.document, ("fields",), "too_many_fields", message)
            for piece in draft.declared:
                self._declare(draft, piece)
        for draft in self._drafts.objects.values():
            for declared in draft.fields.values():
                self._depends_on(draft, declared)

    def finish(self) -> None:
        """Adds the system fields and checks that no two fields of an object share a key."""
        for draft in self._drafts.objects.values():
            for field in draft.fields.values():
                self._keys(draft, field)
            for made in self._system:
                piece = Piece(draft.piece.document, (), EMPTY)
                field = FieldDraft(draft.name, piece, made.spec, made.type, made.parts, system=True)
                draft.fields[field.name] = field
                for part in field.parts:
                    draft.keys_of[part.key] = field

    def _keys(self, draft: ObjectDraft, field: FieldDraft) -> None:
        for part in field.parts:
            other = draft.keys_of.get(part.key)
            if other is not None and other is not field:
                self._report.add(
                    field.piece.document,
                    field.piece.at("name"),
                    "key_taken",
                    say(
                        "The fields {other} ({type}) and {field} both need the key {key}.",
                        other=repr(other.name),
                        type=other.spec.type,
                        field=repr(field.name),
                        key=repr(part.key),
                    ),
                    say("give one of them another name"),
                )
            elif len(part.key) > MAX_KEY:
                message = say(
                    "The field needs a key of {count} characters ({key}); at most {max_key} fit.",
                    count=len(part.key),
                    key=part.key,
                    max_key=MAX_KEY,
                )
                self._report.add(
                    field.piece.document, field.piece.at("name"), "bad_name", message, say("shorten the name")
                )
            draft.keys_of[part.key] = field

    def _declare(self, draft: ObjectDraft, piece: Piece) -> None:
        name, type_name = piece.data["name"], piece.data["type"]
        problem = shape_problem(name) or field_problem(name)
        if problem is None and name in draft.fields:
            first = draft.fields[name].piece
            where = f"{first.document.package}:{first.document.file}"
            self._report.add(
                piece.document,
                piece.at("name"),
                "duplicate",
                say(
                    "{object} has a field {name} already, in {where}.",
                    object=repr(draft.name),
                    name=repr(name),
                    where=where,
                ),
            )
            return
        if problem is not None:
            self._report.add(piece.document, piece.at("name"), "bad_name", *problem)
            self._report.suspect(name)
            return
        if type_name not in self._declarable:
            hint = type_suggestion(type_name, self._types.declarable())
            message = say("There is no field type {type}.", type=repr(type_name))
            self._report.add(piece.document, piece.at("type"), "unknown_type", message, hint)
            self._report.suspect(name)
            return
        kind = self._types[type_name]
        targets = self._targets(draft, piece, type_name)
        if targets is None:
            self._report.suspect(name)
            return
        spec = FieldSpec(name, type_name, piece.data["label"], _options(piece.data), (), targets)
        field = FieldDraft(draft.name, piece, spec, kind)
        field.spec = self._with_choices(draft, field)
        if type_name in _CHOSEN and not field.spec.choices:
            self._report.suspect(name)
            return
        draft.fields[name] = field
        if type_name != "rollup":
            field.parts = kind.parts(field.spec)
        if type_name == "many_to_many":
            self._junction(draft, field)

    def _targets(self, draft: ObjectDraft, piece: Piece, type_name: str) -> tuple[str, ...] | None:
        """The objects a reference points at, known ones only; ``None`` when one of them does not exist."""
        data = piece.data
        if type_name == "hierarchy":
            return (draft.name,)
        if type_name == "user":
            return ("user",)
        wanted: list[tuple[tuple[str | int, ...], str]] = []
        if isinstance(data.get("object"), str):
            wanted.append((("object",), data["object"]))
        if isinstance(data.get("objects"), list):
            wanted += [(("objects", i), name) for i, name in enumerate(data["objects"])]
        missing = False
        for steps, name in wanted:
            found = self._drafts.objects.get(name)
            if found is not None:
                required(piece.document, piece.at(*steps), found, self._drafts, self._report)
                continue
            missing = True
            if not self._report.suspected(name):
                hint = self._report.elsewhere(name) or suggestion(name, self._drafts.objects, say("objects"))
                message = say("There is no object {name}.", name=repr(name))
                self._report.add(piece.document, piece.at(*steps), "unknown_object", message, hint)
        return None if missing else tuple(dict.fromkeys(name for _, name in wanted))

    def _with_choices(self, draft: ObjectDraft, field: FieldDraft) -> FieldSpec:
        spec, data = field.spec, field.data
        choices: tuple[Option, ...] = ()
        if spec.type == _STAGE:
            choices = stage_options(draft.components_of("pipeline"), spec.name)
        elif isinstance(data.get("values"), list):
            choices = options_of(data["values"])
            self._unique_values(field.piece, spec.name)
        elif "value_set" in data:
            found = self.value_sets.get(data["value_set"])
            if found is None and not self._report.suspected(data["value_set"]):
                hint = suggestion(data["value_set"], self.value_sets, say("value sets"))
                message = say(
                    "There is no shared value set {value_set} (picklists/{value_set_2}.json).",
                    value_set=repr(data["value_set"]),
                    value_set_2=data["value_set"],
                )
                self._report.add(field.piece.document, field.piece.at("value_set"), "unknown_picklist", message, hint)
            choices = found or ()
        elif spec.type in _CHOSEN:
            self._report.add(
                field.piece.document,
                field.piece.path,
                "missing_key",
                say("The picklist {name} has neither values of its own nor a shared value set.", name=repr(spec.name)),
                say('add "values": [{"value": "new", "label": "New"}] or "value_set": "…"'),
            )
        return FieldSpec(spec.name, spec.type, spec.label, spec.options, choices, spec.targets) if choices else spec

    def _unique_values(self, piece: Piece, name: str) -> None:
        seen: set[str] = set()
        for i, option in enumerate(piece.data["values"]):
            if option["value"] in seen:
                message = say("The value {value} of {name} occurs twice.", value=repr(option["value"]), name=repr(name))
                self._report.add(piece.document, piece.at("values", i, "value"), "duplicate", message)
            seen.add(option["value"])

    def _depends_on(self, draft: ObjectDraft, field: FieldDraft) -> None:
        """A dependent picklist: its controlling field exists, has values, and is not itself."""
        controlling = field.data.get("depends_on")
        piece = field.piece
        if not isinstance(controlling, str):
            if any(option.parents is not None for option in field.spec.choices):
                message = say(
                    "Values of {field} say which controlling values they go with, but not of which field.",
                    field=repr(field.name),
                )
                self._report.add(piece.document, piece.path, "missing_key", message, say('add "depends_on": "…"'))
            return
        other = draft.fields.get(controlling)
        if other is None or other is field or not (other.spec.choices or other.spec.type == "boolean"):
            if other is None and self._report.suspected(controlling):
                return
            fitting = [f.name for f in draft.fields.values() if f.spec.choices and f is not field]
            what = say("is not a picklist of this object") if other is not None else say("does not exist")
            message = say("The controlling field {controlling} {what}.", controlling=repr(controlling), what=what)
            hint = suggestion(controlling, fitting, say("picklists"))
            self._report.add(piece.document, piece.at("depends_on"), "unknown_field", message, hint)
            return
        known = {option.value for option in other.spec.choices} or {"true", "false"}
        for i, option in enumerate(field.spec.choices):
            for parent in sorted((option.parents or frozenset()) - known):
                path = piece.at("values", i, "for") if "values" in field.data else piece.at("value_set")
                message = say(
                    "{parent} is not a value of {controlling}.", parent=repr(parent), controlling=repr(controlling)
                )
                hint = suggestion(parent, known, say("values"))
                self._report.add(piece.document, path, "unknown_value", message, hint)

    def _junction(self, draft: ObjectDraft, field: FieldDraft) -> None:
        """The hidden object that holds the links of a many-to-many field."""
        name = f"{draft.name}_{field.name}"
        piece = field.piece
        if name in self._drafts.objects or len(name) > MAX_KEY:
            why = say("is longer than a table name may be") if len(name) > MAX_KEY else say("exists already")
            message = say(
                "The links of {field} are kept in an object {name}, which {why}.",
                field=repr(field.name),
                name=repr(name),
                why=why,
            )
            self._report.add(piece.document, piece.at("name"), "bad_name", message, say("give the field another name"))
            return
        field.junction = name
        label = f"{draft.label}{LINK_LABEL}{field.spec.label}"
        data = {"name": name, "label": label, "plural_label": label, "hidden": True, "title": "id"}
        junction = ObjectDraft(name, Piece(piece.document, piece.path, data), junction=True)
        self._drafts.objects[name] = junction
        ends = (("source", draft.name, draft.label), ("target", field.spec.targets[0], field.spec.label))
        for end, target, end_label in ends:
            declared = {
                "name": end,
                "type": "lookup",
                "label": end_label,
                "object": target,
                "required": True,
                "on_delete": "cascade",
            }
            spec = FieldSpec(end, "lookup", end_label, _options(declared), (), (target,))
            kind = self._types["lookup"]
            junction.fields[end] = FieldDraft(
                name, Piece(piece.document, piece.path, declared), spec, kind, kind.parts(spec)
            )
        junction.keys.append(Piece(piece.document, piece.path, {"name": "link", "fields": ["source", "target"]}))
        for i, attribute in enumerate(field.data.get("attributes", ())):
            attribute_piece = Piece(piece.document, piece.at("attributes", i), attribute)
            if attribute.get("type") in {"many_to_many", "master_detail", "rollup", "stage", "hierarchy"}:
                message = say("A link cannot carry a field of type {type}.", type=repr(attribute["type"]))
                self._report.add(piece.document, attribute_piece.at("type"), "not_an_attribute", message)
                continue
            self._declare(junction, attribute_piece)


def options_of(values: Iterable[Mapping[str, Any]]) -> tuple[Option, ...]:
    """Declared picklist values as options."""
    return tuple(
        Option(
            value=v["value"],
            label=v.get("label", v["value"]),
            color=v.get("color", ""),
            active=v.get("active", True),
            parents=frozenset(v["for"]) if "for" in v else None,
        )
        for v in values
    )


def stage_options(pipelines: Iterable[Document], field: str) -> tuple[Option, ...]:
    """The stages of all pipelines of a stage field, each once."""
    found: dict[str, Option] = {}
    for document in pipelines:
        if document.data.get("field", field) != field:
            continue
        for stage in document.data["stages"]:
            option = Option(stage["name"], stage.get("label", stage["name"]), stage.get("color", ""))
            found.setdefault(option.value, option)
    return tuple(found.values())


def _options(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in data.items() if key not in {"name", "type", "label"}}
