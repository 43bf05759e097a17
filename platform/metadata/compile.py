"""Documents → ``Registry``.

``compile_registry`` is the whole way. Documents that come from outside are checked against the schemas first; documents
that were applied before (``trusted=True``) are not, which makes opening an environment quick. The steps are one module
each: ``collect`` (who belongs to whom), ``specs`` and ``rollups`` (fields and their keys), ``formulas`` (compiled in
dependency order), ``fields``, ``behaviour``, ``screens``, ``roles``, ``indexes``.

``assemble`` is the same with a ``Report`` instead of an exception: it always goes to the end, so that one run finds
every problem.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from ratoon.platform.errors import MetadataRefused, say
from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.formulas.functions import FunctionSet
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.access_model import AccessModel, SharingRule
from ratoon.platform.metadata.aliases import compile_aliases
from ratoon.platform.metadata.approvals import approvals
from ratoon.platform.metadata.assignments import assignments
from ratoon.platform.metadata.behaviour import Behaviour
from ratoon.platform.metadata.builtin import with_system
from ratoon.platform.metadata.calendars import compile_calendars
from ratoon.platform.metadata.collect import BUILT_IN, collect
from ratoon.platform.metadata.collector import collector_rests
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, ObjectDraft
from ratoon.platform.metadata.duplicates import duplicate_rules
from ratoon.platform.metadata.fields import finish_fields
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.indexes import derive_indexes, swept
from ratoon.platform.metadata.model import EMPTY, Object, PackageInfo, Registry
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Report
from ratoon.platform.metadata.roles import compile_role
from ratoon.platform.metadata.rollups import build_rollups
from ratoon.platform.metadata.screens import Screens, title_key
from ratoon.platform.metadata.sharing import (
    access_indexes,
    compile_sharing,
    default_access,
    role_parents,
)
from ratoon.platform.metadata.specs import FieldBuilder
from ratoon.platform.metadata.stages import Pipelines
from ratoon.platform.metadata.system_fields import system_fields
from ratoon.platform.metadata.templates import compile_templates


def compile_registry(
    documents: Sequence[Document],
    *,
    types: FieldTypes,
    functions: FunctionSet | None = None,
    revision: int = 0,
    trusted: bool = False,
) -> Registry:
    """The registry of these documents and the built-in ``system`` package.

    ``functions`` are the functions formulas may call (``None`` = the built-in ones); ``trusted`` says that the
    documents passed the schema checks when they were applied. Raises ``MetadataRefused`` with every problem found.
    """
    report = Report()
    complete = with_system(documents)
    if not trusted:
        from ratoon.platform.metadata.structure import StructureCheck

        complete = StructureCheck(types).check(complete, report)
    with collector_rests():
        registry = assemble(complete, types, functions, revision, report)
    if report.errors:
        raise MetadataRefused(report.sorted())
    return registry


def assemble(
    documents: Sequence[Document],
    types: FieldTypes,
    functions: FunctionSet | None,
    revision: int,
    report: Report,
    actions: Collection[str] | None = None,
    triggers: Collection[str] | None = None,
) -> Registry:
    """The registry as far as the documents allow; every problem goes into ``report``.

    ``actions`` and ``triggers`` are those that plugins bring; ``None`` takes any.

    The documents must have the shape that the schemas describe, and the system package must be among them.
    """
    drafts = collect(documents, report)
    builder = FieldBuilder(drafts, types, system_fields(types), report)
    builder.build()
    build_rollups(drafts, report)
    builder.finish()
    formulas = Formulas(drafts, functions, report)
    formulas.fields()
    behaviour = Behaviour(drafts, formulas, report, actions, triggers)
    screens = Screens(drafts, formulas, behaviour, report)
    sharing = compile_sharing(drafts, formulas, report)
    own_last = sorted(drafts.objects.values(), key=lambda d: d.piece.document.package == BUILT_IN)
    objects = {d.name: _object(d, formulas, behaviour, screens, sharing, report) for d in own_last}
    _refuse_master_cycles(drafts, report)
    return Registry(
        revision=revision,
        objects=MappingProxyType(objects),
        aliases=compile_aliases(documents, objects, report),
        templates=MappingProxyType(compile_templates(drafts, formulas, report)),
        calendars=MappingProxyType(compile_calendars(drafts, report)),
        value_sets=MappingProxyType(builder.value_sets),
        roles=MappingProxyType({d.data["name"]: compile_role(d, drafts, formulas, report) for d in drafts.roles}),
        access=AccessModel(
            MappingProxyType(
                {d.data["name"]: compile_role(d, drafts, formulas, report) for d in drafts.permission_sets}
            ),
            MappingProxyType(sharing),
            MappingProxyType(role_parents(drafts, report)),
        ),
        packages=MappingProxyType({name: _package(d) for name, d in drafts.packages.items()}),
        strings=_strings(drafts.strings),
        strings_of=MappingProxyType(
            {
                package: _strings([d for d in drafts.strings if d.package == package])
                for package in {d.package for d in drafts.strings}
            }
        ),
    )


def _object(
    draft: ObjectDraft,
    formulas: Formulas,
    behaviour: Behaviour,
    screens: Screens,
    sharing: Mapping[str, tuple[SharingRule, ...]],
    report: Report,
) -> Object:
    data = draft.piece.data
    fields = finish_fields(draft, formulas, report)
    _check_title(draft, report)
    title = title_key(draft)
    views = screens.views(draft, title)
    declared = [columns for _, columns in behaviour.column_lists(draft, draft.indexes)]
    automations = behaviour.automations(draft)
    default = default_access(draft, report)
    return Object(
        name=draft.name,
        label=draft.label,
        plural_label=draft.plural_label,
        title=title,
        fields=MappingProxyType(fields),
        description=data.get("description", ""),
        icon=data.get("icon", "database"),
        color=data.get("color", "blue"),
        owner=draft.piece.document.package,
        hidden=data.get("hidden", False),
        person=data.get("person", False),
        rules=behaviour.rules(draft),
        keys=behaviour.keys(draft),
        default_access=default,
        indexes=derive_indexes(
            fields,
            declared,
            views,
            [*access_indexes(default, sharing.get(draft.name, ())), *swept(automations)],
        ),
        pipelines=Pipelines(formulas, behaviour, report).of(draft),
        layouts=screens.layouts(draft, title),
        views=views,
        automations=tuple(a for a in automations if a.status == "active"),
        resting=tuple(a for a in automations if a.status != "active"),
        approvals=approvals(draft, formulas, behaviour, report),
        assignments=assignments(draft, formulas, behaviour, report),
        duplicates=duplicate_rules(draft, formulas, behaviour, report),
    )


def _check_title(draft: ObjectDraft, report: Report) -> None:
    title = draft.piece.data.get("title")
    if title is None or report.suspected(title):
        return
    document = draft.piece.document
    field = draft.fields.get(title)
    fitting = [f.name for f in draft.fields.values() if f.parts and f.parts[0].formula is Type.TEXT and not f.volatile]
    if field is None:
        hint = suggestion(title, fitting, say("fields that fit"))
        report.add(
            document,
            ("title",),
            "unknown_field",
            say("{object} has no field {name}.", object=repr(draft.name), name=repr(title)),
            hint,
        )
    elif title != "id" and (
        not field.parts or field.parts[0].sql is None or field.parts[0].formula is None or field.type.reference
    ):
        message = say(
            "{title} is of type {type} and cannot name a record.", title=repr(title), type=repr(field.spec.type)
        )
        report.add(document, ("title",), "wrong_type", message, suggestion("", fitting, say("fields that fit")))


def _refuse_master_cycles(drafts: Drafts, report: Report) -> None:
    """Two masters on one object, or details that are their own masters."""
    master: dict[str, str] = {}
    for draft in drafts.objects.values():
        found = [f for f in draft.fields.values() if f.spec.type == "master_detail"]
        if len(found) > 1:
            message = say(
                "{object} has {count} master_detail fields; a record has one master.",
                object=repr(draft.name),
                count=len(found),
            )
            hint = say('make {found} a lookup with "on_delete": "cascade"', found=repr(found[1].name))
            report.add(found[1].piece.document, found[1].piece.at("type"), "two_masters", message, hint)
        if found:
            master[draft.name] = found[0].spec.targets[0]
    told: set[str] = set()
    for name in master:
        chain = [name]
        while chain[-1] in master and master[chain[-1]] not in chain:
            chain.append(master[chain[-1]])
        back = master.get(chain[-1])
        if back is not None and back == name and name not in told:
            told.update(chain)
            field = next(f for f in drafts.objects[name].fields.values() if f.spec.type == "master_detail")
            message = say("Objects are details of one another in a circle: {chain}.", chain=" → ".join([*chain, name]))
            hint = say("make one of them a lookup (for a tree of one object, a hierarchy)")
            report.add(field.piece.document, field.piece.at("object"), "circular", message, hint)


def _package(document: Document) -> PackageInfo:
    data = document.data
    return PackageInfo(
        data["name"], data["version"], data["label"], MappingProxyType(dict(data.get("requires", EMPTY)))
    )


def _strings(documents: Sequence[Document]) -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for document in documents:
        found.setdefault(document.data["locale"], {}).update(document.data["texts"])
    return MappingProxyType({locale: MappingProxyType(texts) for locale, texts in found.items()})
