"""The metadata over HTTP, for administrators: check, plan, apply, export, drift, uninstall, history, rollback.

A package travels as a zip file (``Content-Type: application/zip``) or as JSON, path by path:

    {"files": {"manifest.json": {"kind": "package", …}, "pet/object.json": {…}}}

``POST /metadata/plan`` shows what would change and changes nothing; ``POST /metadata/apply`` does it, whole or not at
all. Pass ``expected_revision`` from the plan and apply refuses when somebody else was faster. Where a new version and
local edits changed the same places, both answer 409 with the conflicts; send them back as ``resolve``, each with
``take``, or say ``prefer=ours`` or ``prefer=theirs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from flask import Blueprint, Response, request

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.body import flag, known_parameters, parse, read_bytes, whole_number, words
from ratoon.platform.api.context import Api, answer_value
from ratoon.platform.api.metadata_shapes import (
    PackageShape,
    PurgeShape,
    RollbackShape,
    SettingsCallShape,
    UninstallShape,
)
from ratoon.platform.api.shapes import load
from ratoon.platform.errors import BadRequest, Forbidden, MetadataRefused
from ratoon.platform.metadata.documents import canonical
from ratoon.platform.metadata.lint import lint
from ratoon.platform.packages import (
    Applied,
    Choices,
    Conditions,
    Manner,
    Target,
    TestsFailed,
    apply_package,
    check_packages,
    export,
    history,
    plan_package,
    plan_rollback,
    read_resolutions,
    rollback,
)
from ratoon.platform.packages.drift import Side, drift, read_side
from ratoon.platform.packages.environment_settings import change_settings, needs
from ratoon.platform.packages.merging import Side as Preferred
from ratoon.platform.packages.planning import present_documents
from ratoon.platform.packages.purging import plan_purge, purge
from ratoon.platform.packages.rule_checks import check_formula, check_rules
from ratoon.platform.packages.sources import Source, read_sources
from ratoon.platform.packages.uninstalling import plan_uninstall, uninstall

ZIP = "application/zip"
CONDITIONS = ("allow_violations", "fingerprint")
MANNER = ("edit", "discard_edits", "prefer")
MAX_MESSAGE = 500


class MetadataViews:
    """The views of metadata."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        blueprint.add_url_rule("/metadata/settings", "metadata_settings", self.settings, methods=["GET"])
        blueprint.add_url_rule("/metadata/settings", "metadata_keep_settings", self.keep_settings, methods=["PUT"])
        blueprint.add_url_rule("/metadata/lint", "metadata_lint", self.lint, methods=["POST"])
        blueprint.add_url_rule("/metadata/purge", "metadata_purge", self.purge, methods=["POST"])
        blueprint.add_url_rule("/metadata/check", "metadata_check", self.check, methods=["POST"])
        blueprint.add_url_rule("/metadata/drift", "metadata_drift", self.drift, methods=["POST"])
        blueprint.add_url_rule("/metadata/edits", "metadata_edits", self.edits, methods=["GET"])
        blueprint.add_url_rule("/metadata/rules/<name>", "metadata_rules", self.rules, methods=["GET"])
        blueprint.add_url_rule("/metadata/test", "metadata_test", self.test, methods=["POST"])
        blueprint.add_url_rule("/metadata/uninstall", "metadata_uninstall", self.uninstall, methods=["POST"])
        blueprint.add_url_rule("/metadata/plan", "metadata_plan", self.plan, methods=["POST"])
        blueprint.add_url_rule("/metadata/apply", "metadata_apply", self.apply, methods=["POST"])
        blueprint.add_url_rule("/metadata/export", "metadata_export", self.export, methods=["GET"])
        blueprint.add_url_rule("/metadata/history", "metadata_history", self.history, methods=["GET"])
        blueprint.add_url_rule("/metadata/rollback", "metadata_rollback", self.rollback, methods=["POST"])

    def check(self) -> Response:
        """Every problem of a package together with what stands here."""
        self._administrator()
        known_parameters(request, ())
        target, (source, _) = self._target(), self._package()
        with target.database.read() as connection:
            present = present_documents(connection)
        return self._answer(check_packages([source], target.language, present).as_json())

    def lint(self) -> Response:
        """What a package may do and will be sorry for."""
        self._administrator()
        known_parameters(request, ())
        target, (source, _) = self._target(), self._package()
        with target.database.read() as connection:
            checked = check_packages([source], target.language, present_documents(connection))
        if checked.registry is None:
            raise MetadataRefused(checked.findings)
        found = lint(checked.documents, checked.registry)
        return self._answer({"packages": list(checked.packages), "findings": [asdict(finding) for finding in found]})

    def purge(self) -> Response:
        """Drops for good what removed fields and objects left; without ``fingerprint`` only says what it would be."""
        actor = self._administrator()
        known_parameters(request, ())
        call = load(PurgeShape, self._api.object_body())
        target, names, before = self._target(), call["names"], call["before"]
        if call["fingerprint"] is None:
            return self._answer(plan_purge(target, names, before).as_json())
        done = purge(target, names, before=before, fingerprint=call["fingerprint"], by=actor.id)
        return self._answer(done.as_json())

    def plan(self) -> Response:
        """What applying a package would change."""
        self._administrator()
        given = known_parameters(request, MANNER)
        source, sent = self._package()
        return self._answer(plan_package(self._target(), source, _manner(given, sent)).as_json())

    def drift(self) -> Response:
        """How the packages that were sent differ from what stands here."""
        self._administrator()
        known_parameters(request, ())
        source, _ = self._package()
        read = read_sources([source])
        if read.findings:
            raise MetadataRefused(read.findings)
        sent = Side("sent", read.documents, complete=False)
        return self._answer(drift(sent, read_side("@", own=self._api.environment.database)).as_json())

    def edits(self) -> Response:
        """Local edits: how what stands differs from what the packages brought."""
        self._administrator()
        known_parameters(request, ())
        database = self._api.environment.database
        return self._answer(drift(read_side("@packages", own=database), read_side("@", own=database)).as_json())

    def settings(self) -> Response:
        """What the packages ask for in this environment; secrets are not shown."""
        self._administrator()
        known_parameters(request, ())
        with self._api.environment.database.read() as connection:
            found = needs(connection, present_documents(connection), {})
        return self._answer({"settings": [need.as_json() for need in found]})

    def keep_settings(self) -> Response:
        """Gives settings of one package."""
        actor = self._administrator()
        known_parameters(request, ())
        call = load(SettingsCallShape, self._api.object_body())
        environment = self._api.environment
        with environment.database.write() as connection:
            documents = present_documents(connection)
            change_settings(connection, environment.world.clock(), documents, call["package"], call["values"], actor.id)
        return self.settings()

    def rules(self, name: str) -> Response:
        """What the records that are there say to the rules of an object, or to a formula that is no rule yet."""
        self._administrator()
        given = known_parameters(request, ("rule", "formula"))
        rule, formula = given.get("rule") or None, given.get("formula") or None
        if rule and formula:
            raise BadRequest("rule and formula do not go together.", field="formula")
        target = self._target()
        found = [check_formula(target, name, formula)] if formula else check_rules(target, name, rule)
        return self._answer({"rules": [outcome.as_json() for outcome in found]})

    def test(self) -> Response:
        """Runs the tests of all packages, with the package that was sent applied; all of it is taken back."""
        actor = self._administrator()
        given = known_parameters(request, MANNER)
        source, sent = self._package()
        try:
            manner = _manner(given, sent)
            conditions = Conditions(allow_violations=True)
            outcomes = apply_package(self._target(), source, by=actor.id, allow_destructive=True, validate_only=True,
                                     manner=manner, conditions=conditions).tests  # fmt: skip
        except TestsFailed as error:
            outcomes = error.outcomes
        passed = all(outcome.passed for outcome in outcomes)
        return self._answer({"passed": passed, "tests": [outcome.as_json() for outcome in outcomes]})

    def uninstall(self) -> Response:
        """Takes a package away; its data is kept."""
        actor = self._administrator()
        known_parameters(request, ())
        call = load(UninstallShape, self._api.object_body())
        if call["plan_only"]:
            plan = plan_uninstall(self._target(), call["package"])
            return self._answer(Applied(plan.revision, plan, validated_only=True).as_json())
        applied = uninstall(
            self._target(),
            call["package"],
            by=actor.id,
            message=_message(call["message"]),
            allow_destructive=call["allow_destructive"],
            validate_only=call["validate_only"],
            expected_revision=call["expected_revision"],
        )
        self._notice()
        return self._answer(applied.as_json())

    def apply(self) -> Response:
        """Applies a package."""
        actor = self._administrator()
        known = (*CONDITIONS, "allow_destructive", "validate_only", "message", "expected_revision", *MANNER)
        given = known_parameters(request, known)
        source, sent = self._package()
        applied = apply_package(
            self._target(),
            source,
            by=actor.id,
            message=_message(given.get("message", "")),
            allow_destructive=flag(given, "allow_destructive"),
            validate_only=flag(given, "validate_only"),
            expected_revision=_revision(given, "expected_revision"),
            manner=_manner(given, sent),
            conditions=_conditions(given),
        )
        self._notice()
        return self._answer(applied.as_json())

    def export(self) -> Response:
        """The applied documents, as JSON or (``format=zip``) as a zip file."""
        self._administrator()
        given = known_parameters(request, ("package", "components", "revision", "format"))
        kind = given.get("format", "json")
        if kind not in ("json", "zip"):
            raise BadRequest("format is json or zip.", field="format")
        picked = words(given, "components") or ()
        exported = export(self._target(), given.get("package") or None, _revision(given, "revision"), picked)
        if kind == "zip":
            name = exported.packages[0] if len(exported.packages) == 1 else "packages"
            headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
            return Response(exported.as_zip(), headers=headers, content_type=ZIP)
        files = {path: orjson.loads(content) for path, content in exported.files.items()}
        return self._answer({"packages": list(exported.packages), "files": files})

    def history(self) -> Response:
        """The revisions, newest first."""
        self._administrator()
        given = known_parameters(request, ("limit",))
        found = history(self._target(), whole_number(given, "limit", 100, 1000))
        revisions = [{"revision": r.revision, "at": r.at, "by": r.by, "message": r.message} for r in found]
        return self._answer({"revisions": revisions})

    def rollback(self) -> Response:
        """Brings the metadata of an earlier revision back, as a new revision."""
        actor = self._administrator()
        known_parameters(request, ())
        call = load(RollbackShape, self._api.object_body())
        if call["plan_only"]:
            plan = plan_rollback(self._target(), call["revision"])
            return self._answer(Applied(plan.revision, plan, validated_only=True).as_json())
        applied = rollback(
            self._target(),
            call["revision"],
            by=actor.id,
            message=_message(call["message"]),
            allow_destructive=call["allow_destructive"],
            validate_only=call["validate_only"],
            expected_revision=call["expected_revision"],
            conditions=Conditions(allow_violations=call["allow_violations"]),
        )
        self._notice()
        return self._answer(applied.as_json())

    def _answer(self, value: Any) -> Response:
        return answer_value(self._api.told(value))

    def _administrator(self) -> Actor:
        actor = self._api.actor()
        if not actor.admin:
            raise Forbidden("Only an administrator may see and change the metadata.")
        return actor

    def _target(self) -> Target:
        return Target.of(self._api.environment)

    def _package(self) -> tuple[Source, Mapping[str, Any]]:
        """The package that was sent, and what came with it: answers to conflicts, settings."""
        limit = self._api.environment.settings.max_body_bytes
        data = read_bytes(request, limit, also=(ZIP,))
        if request.mimetype == ZIP:
            return data, {}
        sent = load(PackageShape, parse(data))
        return _files(sent["files"]), sent

    def _notice(self) -> None:
        """This process serves the new revision from the next call on; others notice within a moment."""
        environment = self._api.environment
        with environment.database.read() as connection:
            environment.engine_at(connection)


def _files(files: Mapping[str, Any]) -> dict[str, bytes]:
    """File contents by path: a text is taken as it is, anything else is written as JSON."""
    return {
        path: (content if isinstance(content, str) else canonical(content)).encode("utf-8")
        for path, content in files.items()
    }


def _manner(given: Mapping[str, str], sent: Mapping[str, Any]) -> Manner:
    prefer: Preferred | None = None
    match given.get("prefer"):
        case None:
            pass
        case "ours":
            prefer = "ours"
        case "theirs":
            prefer = "theirs"
        case _:
            raise BadRequest("prefer is ours or theirs.", field="prefer")
    edit, discard = flag(given, "edit"), flag(given, "discard_edits")
    if edit and discard:
        raise BadRequest("edit and discard_edits exclude one another.", field="edit")
    choices = Choices(read_resolutions(sent.get("resolve", [])), prefer)
    return Manner(edit=edit, discard_edits=discard, choices=choices, settings=sent.get("settings", {}))


def _conditions(given: Mapping[str, str]) -> Conditions:
    return Conditions(allow_violations=flag(given, "allow_violations"), fingerprint=given.get("fingerprint") or None)


def _message(text: str) -> str:
    if len(text) > MAX_MESSAGE:
        raise BadRequest("A message has at most {most} characters.", field="message", most=MAX_MESSAGE)
    return text


def _revision(given: Mapping[str, str], name: str) -> int | None:
    return whole_number(given, name, 1, 10**9) if name in given else None
