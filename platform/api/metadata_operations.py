"""The operations of ``/metadata/…`` that the OpenAPI document describes, for administrators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ratoon.platform.api.operations import (
    FLAG,
    Operations,
    answers,
    body,
    number,
    operation,
    path_parameter,
    query,
    reference,
)

REVISION: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 10**9}
MANNER = (
    query("edit", "a local edit of the package, not a new version of it", FLAG),
    query("discard_edits", "take the package as it is; local edits go", FLAG),
    query("prefer", "where both changed something", {"type": "string", "enum": ["ours", "theirs"]}),
)


def metadata_paths() -> Iterator[tuple[str, Operations]]:
    """The paths of metadata."""
    package = body(reference("_package"))
    package["content"]["application/zip"] = {"schema": {}}

    def post(name: str, summary: str, said: str, shape: str, *parameters: Any, sent: Any = package) -> Operations:
        answer = answers(said, reference(shape))
        return {"post": operation(name, summary, "metadata", answer, *parameters, requestBody=sent)}

    yield "/metadata/check", post("metadata_check", "Every problem of a package", "the findings", "_check")
    plan = post("metadata_plan", "What applying a package would change", "what would change", "_plan", *MANNER)
    yield "/metadata/plan", plan
    yield (
        "/metadata/apply",
        post(
            "metadata_apply",
            "Apply a package, whole or not at all",
            "applied",
            "_applied",
            query("allow_destructive", "also when something is taken away", FLAG),
            query("validate_only", "do everything, then take it back", FLAG),
            query("message", "what the revision is called", {"type": "string", "maxLength": 500}),
            query("expected_revision", "the revision of the plan; refused when it is another one by now", REVISION),
            query("allow_violations", "also when records are left that break their own rules", FLAG),
            query("fingerprint", "of the plan that was agreed to; another one is refused"),
            *MANNER,
        ),
    )
    tested = post("metadata_test", "Try a package and run all tests", "how they went", "_tests", *MANNER)
    yield "/metadata/test", tested
    yield "/metadata/lint", post("metadata_lint", "What a package will be sorry for", "the findings", "_lint")
    purging = body(reference("_purge_call"))
    purge = post("metadata_purge", "Drop for good what was removed", "what is lost", "_purged", sent=purging)
    yield "/metadata/purge", purge
    drifted = post("metadata_drift", "How packages differ from what stands here", "the differences", "_drift")
    yield "/metadata/drift", drifted
    call = body(reference("_uninstall_call"))
    uninstall = post("metadata_uninstall", "Take a package away; its data is kept", "applied", "_applied", sent=call)
    yield "/metadata/uninstall", uninstall
    yield from _reading()
    yield (
        "/metadata/rollback",
        post(
            "metadata_rollback",
            "Bring the metadata of an earlier revision back",
            "applied",
            "_applied",
            sent=body(reference("_rollback_call")),
        ),
    )


def _reading() -> Iterator[tuple[str, Operations]]:
    exported = answers("the documents", reference("_export"))
    exported["200"]["content"]["application/zip"] = {"schema": {}}
    yield (
        "/metadata/export",
        {
            "get": operation(
                "metadata_export",
                "The applied documents",
                "metadata",
                exported,
                query("package", "only this one; all but the built-in one when absent"),
                query("components", "only these and what they need: object/account,view/account.open"),
                query("revision", "as they stood then", REVISION),
                query("format", "JSON or a zip file", {"type": "string", "enum": ["json", "zip"], "default": "json"}),
            )
        },
    )
    listed = answers("the revisions", reference("_revisions"))
    limit = query("limit", "revisions at most", number(1000, 100))
    yield "/metadata/history", {"get": operation("metadata_history", "Who changed what", "metadata", listed, limit)}
    kept = answers("the settings", reference("_settings"))
    call = body(reference("_settings_call"))
    yield (
        "/metadata/settings",
        {
            "get": operation("metadata_settings", "What packages ask for here", "metadata", kept),
            "put": operation("metadata_keep_settings", "Give settings", "metadata", kept, requestBody=call),
        },
    )
    asked = answers("what the records say to each rule", reference("_rules"))
    yield (
        "/metadata/rules/{name}",
        {
            "get": operation(
                "metadata_rules",
                "Which records break the rules of an object",
                "metadata",
                asked,
                path_parameter("name", "of an object"),
                query("rule", "only this rule"),
                query("formula", "a formula that is no rule yet: records for which it is true"),
            )
        },
    )
    edits = answers("how what stands differs from what the packages brought", reference("_drift"))
    yield "/metadata/edits", {"get": operation("metadata_edits", "Local edits of packages", "metadata", edits)}
