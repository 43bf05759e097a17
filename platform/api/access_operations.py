"""The calls about access in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ratoon.platform.api.operations import (
    UUID,
    Operations,
    answers,
    body,
    operation,
    path_parameter,
    query,
    reference,
)

SOMETHING = {"type": "object"}


def my_paths() -> Iterator[tuple[str, Operations]]:
    """One's own sessions and tokens."""
    one = path_parameter("id", "which", UUID)
    yield "/me/sessions", {"get": _op("my_sessions", "Where one is signed in")}
    yield "/me/sessions/{id}", {"delete": _done("end_my_session", "End a session", one)}
    yield (
        "/me/tokens",
        {
            "get": _op("my_tokens", "One's API tokens"),
            "post": operation(
                "make_my_token", "A new token; it is shown only now", "access", answers("the token", SOMETHING, 201),
                requestBody=body(reference("_token_call")),
            ),
        },
    )  # fmt: skip
    yield "/me/tokens/{id}", {"delete": _done("revoke_my_token", "End a token", one)}


def admin_paths() -> Iterator[tuple[str, Operations]]:
    """Why, who and what happened: for administrators."""
    user = path_parameter("id", "the user", UUID)
    asked = (query("user", "id of the user", UUID), query("object", "the object"), query("id", "the record", UUID))
    yield "/access/explain", {"get": _op("access_explain", "Why somebody may do something", *asked)}
    yield (
        "/access/users/{id}",
        {
            "get": _op("access_user", "Roles and permission sets of a user", user),
            "put": operation(
                "access_grant", "Make these the roles and permission sets of a user", "access",
                answers("granted", SOMETHING), user, requestBody=body(reference("_grants")),
            ),
        },
    )  # fmt: skip


def record_paths(object: str, editable: bool) -> Iterator[tuple[str, Operations]]:
    """Shares and transfer of one object's records."""
    record, share = path_parameter("id", "the record", UUID), path_parameter("share", "the share", UUID)
    here = f"/records/{object}/{{id}}"
    shares: Operations = {"get": _op(f"shares_{object}", "Whom it is opened to", record)}
    if editable:
        shares["post"] = operation(
            f"share_{object}", "Open it to somebody", "access", answers("opened", SOMETHING, 201), record,
            requestBody=body(reference("_share_call")),
        )  # fmt: skip
    yield f"{here}/shares", shares
    if editable:
        yield f"{here}/shares/{{share}}", {"delete": _done(f"unshare_{object}", "Close it again", record, share)}
        moved = operation(
            f"transfer_{object}", "Another owner", "access", answers("how many records went", SOMETHING), record,
            requestBody=body(reference("_transfer_call")),
        )  # fmt: skip
        yield f"{here}/transfer", {"post": moved}


def person_paths(object: str, admin: bool) -> Iterator[tuple[str, Operations]]:
    """Everything about a person; for administrators erasing one."""
    record, here = path_parameter("id", "the person", UUID), f"/records/{object}/{{id}}/person"
    yield here, {"get": _op(f"person_{object}", "Everything about the person", record)}
    if admin:
        gone = _done(f"erase_person_{object}", "Erase the person for good", record)
        shown = _op(f"plan_erasure_{object}", "What erasing would take away, and what stays", record)
        yield f"{here}/erasure", {"get": shown, "post": {**gone, "requestBody": body(reference("_erasure_call"))}}


def _op(name: str, summary: str, *parameters: Any) -> dict[str, Any]:
    return operation(name, summary, "access", answers("found", SOMETHING), *parameters)


def _done(name: str, summary: str, *parameters: Any) -> dict[str, Any]:
    gone = answers("done", {})
    del gone["200"]
    return operation(name, summary, "access", {"204": {"description": "done"}, **gone}, *parameters)
