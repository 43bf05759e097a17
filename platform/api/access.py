"""Access over HTTP: one's own sessions and tokens, shares of a record, transfer; for administrators why somebody may
do something and roles of users (the audit trail is in ``audit.py``).

======================================== =======================================================================
``GET /access/explain``                  user, object, id: every action with its reasons (administrators)
``GET|PUT /access/users/{id}``           roles and permission sets of a user (administrators)
``GET /me/sessions``                     where one is signed in; ``DELETE …/{id}`` ends a session
``GET|POST /me/tokens``                  one's API tokens; ``DELETE …/{id}`` ends one
``GET|POST …/{object}/{id}/shares``      whom a record is opened to; ``DELETE …/shares/{share}`` closes it
``POST …/{object}/{id}/transfer``        another owner, with or without what belongs to it
======================================== =======================================================================
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.access.explain import fields_of
from ratoon.platform.access.keys import note_token
from ratoon.platform.api.access_shapes import GrantsShape, ShareShape, TokenShape, TransferShape
from ratoon.platform.api.body import known_parameters
from ratoon.platform.api.context import Api, answer_value, empty, record_id
from ratoon.platform.api.shapes import load
from ratoon.platform.errors import BadRequest, Forbidden, NotFound
from ratoon.platform.records.ownership import Ownership
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.why_access import why_access


class AccessViews:
    """The views of access."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._accounts = Accounts(api.environment.world)

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        one = "/records/<object>/<id>"
        for rule, endpoint, view, method in (
            ("/access/explain", "access_explain", self.explain, "GET"),
            ("/access/users/<id>", "access_user", self.grants, "GET"),
            ("/access/users/<id>", "access_grant", self.grant, "PUT"),
            ("/me/sessions", "my_sessions", self.sessions, "GET"),
            ("/me/sessions/<id>", "end_my_session", self.end_session, "DELETE"),
            ("/me/tokens", "my_tokens", self.tokens, "GET"),
            ("/me/tokens", "make_my_token", self.make_token, "POST"),
            ("/me/tokens/<id>", "revoke_my_token", self.revoke_token, "DELETE"),
            (f"{one}/shares", "shares", self.shares, "GET"),
            (f"{one}/shares", "share", self.share, "POST"),
            (f"{one}/shares/<share>", "unshare", self.unshare, "DELETE"),
            (f"{one}/transfer", "transfer", self.transfer, "POST"),
        ):
            blueprint.add_url_rule(rule, endpoint, view, methods=[method])

    def explain(self) -> Response:
        """Why a user may or may not do something with a record."""
        self._administrator()
        given = known_parameters(request, ("user", "object", "id"))
        engine = self._api.environment.engine
        object = given.get("object", "")
        if object not in engine.registry.objects:
            raise NotFound("There is no object called {object}.", object=object[:60])
        with self._api.environment.database.read() as conn:
            user = record_id(given.get("user", ""), "user")
            actor = self._accounts.actor_for_user(conn, user)
            if actor is None:
                raise NotFound("There is no {object} with id {id}.", object="user", id=user)
            found = why_access(engine, conn, actor, object, record_id(given.get("id", ""), object))
        actions = [
            {
                "action": answer.action,
                "allowed": answer.allowed,
                "reasons": [{"grants": r.grants, "text": r.text(self._api.text)} for r in answer.reasons],
            }
            for answer in found
        ]
        return answer_value({"actions": actions, "fields": fields_of(engine.policy, actor, object)})

    def grants(self, id: str) -> Response:
        """The roles and permission sets of a user."""
        self._administrator()
        known_parameters(request, ())
        user = record_id(id, "user")
        with self._api.environment.read(self._api.actor()) as records:
            records.get("user", user, fields=["id"])
            return answer_value(self._grants(records, user))

    def grant(self, id: str) -> Response:
        """Makes these the roles and permission sets of a user."""
        actor = self._administrator()
        known_parameters(request, ())
        call = load(GrantsShape, self._api.object_body())
        user = record_id(id, "user")

        def work(records: RecordService) -> Response:
            records.get("user", user, fields=["id"])
            registry = records.engine.registry
            for name in call["roles"]:
                if name not in registry.roles:
                    raise BadRequest("There is no role {name}.", field="roles", name=name)
            for name in call["permission_sets"]:
                if name not in registry.access.permission_sets:
                    raise BadRequest("There is no permission set {name}.", field="permission_sets", name=name)
            self._accounts.set_roles(records.connection, user, call["roles"], by=actor.id)
            self._accounts.set_permission_sets(records.connection, user, call["permission_sets"], by=actor.id)
            return answer_value(self._grants(records, user))

        return self._api.environment.transact(actor, work)

    def _grants(self, records: RecordService, user: str) -> dict[str, Any]:
        roles = self._accounts.roles_of(records.connection, [user])[user]
        sets = self._accounts.permission_sets_of(records.connection, [user])[user]
        return {"user": user, "roles": list(roles), "permission_sets": list(sets)}

    def sessions(self) -> Response:
        """Where the caller is signed in."""
        actor = self._person()
        known_parameters(request, ())
        with self._api.environment.database.read() as conn:
            found = self._accounts.sessions_of(conn, str(actor.id))
        return answer_value({"sessions": [asdict(session) for session in found]})

    def end_session(self, id: str) -> Response:
        """Ends one of the caller's sessions."""
        actor = self._person()
        known_parameters(request, ())
        with self._api.environment.database.write() as conn:
            if not self._accounts.end_session_of(conn, str(actor.id), record_id(id, "session")):
                raise NotFound("There is no {object} with id {id}.", object="session", id=id[:60])
        return empty()

    def tokens(self) -> Response:
        """The caller's tokens."""
        actor = self._person()
        known_parameters(request, ())
        with self._api.environment.database.read() as conn:
            found = self._accounts.tokens_of(conn, str(actor.id))
        return answer_value({"tokens": [_token(info) for info in found]})

    def make_token(self) -> Response:
        """A new token for the caller; it is shown only now."""
        actor = self._person()
        known_parameters(request, ())
        if actor.scope is not None:
            raise Forbidden("A limited token makes no other tokens.")
        call = load(TokenShape, self._api.object_body())
        world = self._api.environment.world
        ends = None if call["days"] is None else world.clock() + timedelta(days=call["days"])
        with self._api.environment.database.write() as conn:
            token, info = self._accounts.create_token(
                conn, str(actor.id), label=call["label"], expires_at=ends, objects=call["objects"],
                read_only=call["read_only"],
            )  # fmt: skip
            note_token(conn, world.clock(), "token_made", info, actor.id)
        return answer_value({**_token(info), "token": token}, 201)

    def revoke_token(self, id: str) -> Response:
        """Ends one of the caller's tokens."""
        actor = self._person()
        known_parameters(request, ())
        wanted = record_id(id, "token")
        with self._api.environment.database.write() as conn:
            mine = {info.id: info for info in self._accounts.tokens_of(conn, str(actor.id))}
            if wanted not in mine or not self._accounts.revoke_token(conn, wanted):
                raise NotFound("There is no {object} with id {id}.", object="token", id=wanted)
            note_token(conn, self._api.environment.world.clock(), "token_revoked", mine[wanted], actor.id)
        return empty()

    def shares(self, object: str, id: str) -> Response:
        """Whom a record is opened to."""
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            records.engine.policy.require(actor, object, "read")
            found = Ownership(records).shares(object, record_id(id, object))
        return answer_value({"shares": [asdict(share) for share in found]})

    def share(self, object: str, id: str) -> Response:
        """Opens a record to somebody."""
        actor = self._api.actor()
        known_parameters(request, ())
        call = load(ShareShape, self._api.object_body())

        def work(records: RecordService) -> Response:
            records.engine.policy.require(actor, object, "edit")
            made = Ownership(records).share(
                object, record_id(id, object), call["grantee"], call["access"], reason=call["reason"]
            )
            return answer_value(asdict(made), 201)

        return self._api.environment.transact(actor, work)

    def unshare(self, object: str, id: str, share: str) -> Response:
        """Closes a record again."""
        actor = self._api.actor()
        known_parameters(request, ())

        def work(records: RecordService) -> Response:
            records.engine.policy.require(actor, object, "edit")
            Ownership(records).unshare(object, record_id(id, object), record_id(share, "share"))
            return empty()

        return self._api.environment.transact(actor, work)

    def transfer(self, object: str, id: str) -> Response:
        """Gives a record to another owner."""
        actor = self._api.actor()
        known_parameters(request, ())
        call = load(TransferShape, self._api.object_body())

        def work(records: RecordService) -> Response:
            records.engine.policy.require(actor, object, "edit")
            moved = Ownership(records).transfer(
                object, [record_id(id, object)], record_id(call["owner"], "user"), children=call["children"],
                keep_shares=call["keep_shares"],
            )  # fmt: skip
            return answer_value({"transferred": moved})

        return self._api.environment.transact(actor, work)

    def _administrator(self) -> Actor:
        actor = self._api.actor()
        if not actor.admin:
            raise Forbidden("Only an administrator may see and change who may do what.")
        return actor

    def _person(self) -> Actor:
        actor = self._api.actor()
        if actor.id is None:
            raise Forbidden("Only a user has sessions and tokens.")
        return actor


def _token(info: Any) -> dict[str, Any]:
    names = ("id", "label", "created_at", "expires_at", "last_used_at", "revoked_at", "read_only")
    objects = None if info.objects is None else info.objects.split(",")
    return {**{name: getattr(info, name) for name in names}, "objects": objects}
