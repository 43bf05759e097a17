"""The first step of compilation: sort documents into packages, value sets, objects and what belongs to them.

Packages are ordered so that each follows those it requires; an extension's fields therefore come after the fields of
the object's own package, the same way every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from ratoon.platform.errors import say
from ratoon.platform.metadata.documents import FOLDERS, KINDS, LATER_KINDS, Document, place
from ratoon.platform.metadata.drafts import Drafts, ObjectDraft, Piece
from ratoon.platform.metadata.names import object_problem, shape_problem, suggestion
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.versions import satisfies, version_key

BUILT_IN = "system"
"""The package that is always there."""


def collect(documents: Sequence[Document], report: Report) -> Drafts:
    """The documents, sorted; what cannot take part is reported and left out."""
    drafts = Drafts()
    usable = [d for d in documents if _usable(d, report)]
    _packages(usable, drafts, report)
    rank = {name: place for place, name in enumerate(drafts.packages)}
    usable.sort(key=lambda d: (rank.get(d.package, len(rank)), KINDS.index(d.kind), d.file))
    seen: dict[tuple[str, str, str], Document] = {}
    for document in usable:
        component = document.component
        if document.kind not in {"extension", "strings", "package"} and component in seen:
            first = seen[component]
            report.add(
                document,
                ("name",),
                "duplicate",
                say(
                    "There is {a} {component} already, in {package}:{file}.",
                    a=_a(document.kind),
                    component=repr(component[2]),
                    package=first.package,
                    file=first.file,
                ),
                say("choose another name, or add to the other package's object with an extension.json"),
            )
            continue
        seen[component] = document
        _sort_in(document, drafts, report)
    return drafts


def _a(kind: str) -> str:
    """The kind with its article."""
    return say("an {kind}", kind=kind) if kind[0] in "aeiou" else say("a {kind}", kind=kind)


def _usable(document: Document, report: Report) -> bool:
    kind = document.kind
    if kind in LATER_KINDS:
        report.add(
            document,
            ("kind",),
            "not_supported",
            say("Documents of kind {kind} are not supported by this version.", kind=repr(kind)),
        )
    elif kind not in KINDS:
        hint = (
            suggestion(kind, KINDS, say("kinds"))
            if kind
            else say("{what}: {known}", what=say("kinds"), known=", ".join(KINDS))
        )
        message = say("There is no kind {kind}.", kind=repr(kind)) if kind else say('The document says no "kind".')
        report.add(document, ("kind",), "unknown_kind", message, hint)
    elif document.file != (wanted := place(kind, document.data)):
        report.add(
            document,
            (),
            "misplaced",
            say("An {kind} document of this name belongs into {wanted}.", kind=kind, wanted=wanted)
            if kind[0] in "aeiou"
            else say("A {kind} document of this name belongs into {wanted}.", kind=kind, wanted=wanted),
            say("move it to {wanted}", wanted=wanted),
        )
    else:
        return True
    return False


def _packages(documents: Sequence[Document], drafts: Drafts, report: Report) -> None:
    manifests = {d.package: d for d in documents if d.kind == "package"}
    before: dict[str, set[str]] = {}
    for name, document in manifests.items():
        data = document.data
        problem = shape_problem(name)
        if problem is not None:
            report.add(document, ("name",), "bad_name", *problem)
        try:
            version_key(data["version"])
        except ValueError as error:
            report.add(document, ("version",), "bad_version", say("{error}.", error=error.args[0]))
        before[name] = set() if name == BUILT_IN else {BUILT_IN}
        for required, wanted in data.get("requires", {}).items():
            before[name].add(required)
            _requirement(document, required, wanted, manifests, report)
    for cycle in requirement_cycles(before):
        report.add(
            manifests[cycle[0]],
            ("requires",),
            "circular_requirement",
            say("Packages require one another in a circle: {cycle}.", cycle=" → ".join(cycle)),
            say("take one of the requirements out"),
        )
    order = [n for n in TopologicalSorter({k: sorted(v) for k, v in before.items()}).static_order() if n in manifests]
    drafts.packages = {name: manifests[name] for name in order}


def _requirement(
    document: Document, required: str, wanted: str, manifests: dict[str, Document], report: Report
) -> None:
    path = ("requires", required)
    other = manifests.get(required)
    if other is None:
        hint = suggestion(required, manifests, say("packages here")) or say("apply that package first")
        report.add(
            document, path, "missing_package", say("The package {required} is not here.", required=repr(required)), hint
        )
        return
    version = str(other.data.get("version", "0"))
    try:
        if not satisfies(version, wanted):
            message = say(
                "The package {required} is here in version {version}, which is not {wanted}.",
                required=repr(required),
                version=version,
                wanted=wanted,
            )
            report.add(document, path, "wrong_version", message)
    except ValueError as error:
        report.add(document, path, "bad_version", say("{error}.", error=error.args[0]))


def requirement_cycles(before: dict[str, set[str]]) -> list[list[str]]:
    """The circles in ``before`` (package → required packages), each cut there so that an order exists afterwards."""
    cycles: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(before).prepare()
            return cycles
        except CycleError as error:
            circle: list[str] = list(reversed(error.args[1]))
            cycles.append(circle)
            before[circle[0]].discard(circle[1])


def _sort_in(document: Document, drafts: Drafts, report: Report) -> None:
    kind, data = document.kind, document.data
    if kind == "object":
        _object(document, drafts, report)
    elif kind == "extension":
        target = _owner(document, drafts, report)
        if target is not None:
            _members(target, document)
    elif kind in FOLDERS.values() or kind == "approval":
        target = _owner(document, drafts, report)
        if target is not None and _named(document, report):
            target.components.setdefault(kind, []).append(document)
    elif kind == "picklist" and _named(document, report):
        drafts.value_sets[data["name"]] = document
    elif kind == "role" and _named(document, report):
        drafts.roles.append(document)
    elif kind == "template" and _named(document, report):
        drafts.templates.append(document)
    elif kind == "calendar" and _named(document, report):
        drafts.calendars[data["name"]] = document
    elif kind == "permission_set" and _named(document, report):
        drafts.permission_sets.append(document)
    elif kind == "sharing" and _named(document, report):
        drafts.sharing.append(document)
    elif kind == "strings":
        drafts.strings.append(document)


def _named(document: Document, report: Report) -> bool:
    problem = shape_problem(document.data["name"])
    if problem is not None:
        report.add(document, ("name",), "bad_name", *problem)
    return problem is None


def _object(document: Document, drafts: Drafts, report: Report) -> None:
    name = document.data["name"]
    problem = shape_problem(name) or object_problem(name)
    if problem is not None:
        report.add(document, ("name",), "bad_name", *problem)
        report.suspect(name)
        return
    draft = ObjectDraft(name, Piece(document, (), document.data))
    drafts.objects[name] = draft
    _members(draft, document)


def _members(draft: ObjectDraft, document: Document) -> None:
    for group, pieces in (
        ("fields", draft.declared),
        ("rules", draft.rules),
        ("keys", draft.keys),
        ("indexes", draft.indexes),
    ):
        declared = enumerate(document.data.get(group, ()))
        pieces.extend(Piece(document, (group, i), data) for i, data in declared if data is not None)


def _owner(document: Document, drafts: Drafts, report: Report) -> ObjectDraft | None:
    name = document.data["object"]
    found = drafts.objects.get(name)
    if found is None:
        if not report.suspected(name):
            hint = report.elsewhere(name) or suggestion(name, drafts.objects, say("objects"))
            report.add(
                document, ("object",), "unknown_object", say("There is no object {name}.", name=repr(name)), hint
            )
        return None
    required(document, ("object",), found, drafts, report)
    return found


def required(document: Document, path: Path, found: ObjectDraft, drafts: Drafts, report: Report) -> None:
    """Warns when a document mentions an object of a package that its own package does not require."""
    owner = found.piece.document.package
    manifest = drafts.packages.get(document.package)
    if owner in {document.package, BUILT_IN} or manifest is None or owner in manifest.data.get("requires", {}):
        return
    version = drafts.packages[owner].data["version"] if owner in drafts.packages else ""
    report.add(
        document,
        path,
        "requirement_missing",
        say(
            "{found} belongs to the package {owner}, which the manifest does not require.",
            found=repr(found.name),
            owner=repr(owner),
        ),
        say('add "requires": {"{owner}": ">={version}"} to manifest.json', owner=owner, version=version)
        if version
        else "",
        severity="warning",
    )
