"""Whom a record belongs to and whom it is opened to: transfer, with or without children, and manual shares.

    Ownership(records).transfer("account", [id], owner=user, children=True)
    Ownership(records).share("account", id, "team:" + team, "edit", reason="helps with the tender")

Both are for the owner, whoever stands above the owner in the role tree, ``modify_all`` and administrators. A transfer
closes what was shared by hand, unless ``keep_shares`` says otherwise. Everything is noted in the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ratoon.platform.access.shares import GRANTEES, Share, add_share, forget_shares, remove_share, shares_of
from ratoon.platform.errors import BadRequest, Conflict, NotFound
from ratoon.platform.records.drafts import Change
from ratoon.platform.storage.audit import Happening, note

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

SHAREABLE = frozenset({"private", "read"})
"""Defaults that leave something to share."""


class Ownership:
    """Owners and shares, within one transaction and as one actor may change them."""

    def __init__(self, records: RecordService) -> None:
        self._records = records
        self._engine = records.engine
        self._conn = records.connection

    def may_give(self, object: str, record: str) -> bool:
        """Whether the actor may transfer and share this record."""
        records = self._records
        if not self._engine.policy.may(records.actor, object, "edit"):
            return False
        where = self._engine.policy.row_filter(records.actor, object, "transfer")
        return record in self._engine.store.visible(self._conn, object, [record], where)

    def transfer(
        self,
        object: str,
        ids: Sequence[str],
        owner: str,
        *,
        children: bool = False,
        keep_shares: bool = False,
    ) -> dict[str, int]:
        """Gives records to another owner; returns how many of each object.

        ``children``: with them go the records that point at them and belong to the same owner, at every level, as far
        as the actor may give them away. Raises ``NotFound`` for a record or user that is not there for the actor.
        """
        rows = self._engine.store.load(self._conn, object, ids)
        for record in ids:
            if record not in rows or not self.may_give(object, record):
                raise NotFound("There is no {object} with id {id}.", object=object, id=record)
        before = {record: rows[record]["owner"] for record in ids}
        moved: dict[str, list[str]] = {object: list(dict.fromkeys(ids))}
        if children:
            for child, found in self._children(object, before):
                known = moved.setdefault(child, [])
                known += [record for record in found if record not in known]
        for name, records in moved.items():
            self._records.update(name, [Change(record, {"owner": owner}) for record in records])
        if not keep_shares:
            forget_shares(self._conn, [record for records in moved.values() for record in records])
        by, at = self._records.actor.id, self._engine.world.clock()
        told = [
            Happening("access", "transferred", by=by, object=name, subject=record, detail={"to": owner})
            for name, records in moved.items()
            for record in records
        ]
        note(self._conn, at, *told)
        return {name: len(records) for name, records in moved.items() if records}

    def _children(self, object: str, owners: dict[str, str | None]) -> Iterator[tuple[str, list[str]]]:
        """What points at records and has the same owner, level by level; each record once."""
        store, policy, actor = self._engine.store, self._engine.policy, self._records.actor
        seen = {(object, record) for record in owners}
        level: dict[str, dict[str, str | None]] = {object: owners}
        while level:
            below: dict[str, dict[str, str | None]] = {}
            for name, here in level.items():
                for ref in self._engine.registry.children[name]:
                    if name == "user" or ref.object in policy.grants.junctions:
                        continue
                    if not policy.may(actor, ref.object, "edit"):
                        continue
                    pairs = store.children(self._conn, ref.object, ref.name, list(here))
                    rows = store.load(self._conn, ref.object, [record for record, _ in pairs])
                    same = {r: o for r, p in pairs if (o := rows[r]["owner"]) == here[p] and o is not None}
                    where = policy.row_filter(actor, ref.object, "transfer")
                    mine = store.visible(self._conn, ref.object, list(same), where)
                    new = {r: o for r, o in same.items() if r in mine and (ref.object, r) not in seen}
                    seen.update((ref.object, record) for record in new)
                    below.setdefault(ref.object, {}).update(new)
            for name, found in below.items():
                yield name, list(found)
            level = {name: found for name, found in below.items() if found}

    def shares(self, object: str, record: str) -> list[Share]:
        """Whom a record is opened to by hand. Raises ``NotFound`` for a record the actor may not see."""
        self._records.get(object, record, fields=["id"])
        return shares_of(self._conn, object, record)

    def share(self, object: str, record: str, grantee: str, access: str, *, reason: str = "") -> Share:
        """Opens a record to a user, team or role. Raises ``NotFound``, ``BadRequest``, ``Conflict``."""
        self._givable(object, record)
        if access not in ("read", "edit"):
            raise BadRequest("{access} is not one of read, edit.", field="access", access=access)
        default = self._engine.registry[object].default_access
        if default not in SHAREABLE:
            message = "Records of {object} are not shared one by one: whom they reach follows from {default}."
            raise Conflict(message, object=object, default=default)
        self._known(grantee)
        world, by = self._engine.world, self._records.actor.id
        made = Share(world.new_id(), object, record, grantee, access, reason[:255], world.clock(), by)
        add_share(self._conn, made)
        told = {"with": grantee, "access": access, "reason": made.reason}
        note(self._conn, made.at, Happening("access", "shared", by=by, object=object, subject=record, detail=told))
        return made

    def unshare(self, object: str, record: str, id: str) -> None:
        """Takes a share back. Raises ``NotFound``."""
        self._givable(object, record)
        if not remove_share(self._conn, object, record, id):
            raise NotFound("There is no such share.")
        happening = Happening("access", "unshared", by=self._records.actor.id, object=object, subject=record)
        note(self._conn, self._engine.world.clock(), happening)

    def _givable(self, object: str, record: str) -> None:
        self._records.get(object, record, fields=["id"])
        if not self.may_give(object, record):
            raise Conflict("Only the owner and those above may share this record.")

    def _known(self, grantee: str) -> None:
        """Raises ``BadRequest`` for a grantee that is not there."""
        kind, _, name = grantee.partition(":")
        registry = self._engine.registry
        if kind in ("role", "below"):
            there = name in registry.roles
        else:
            object = {"user": "user", "team": "user_team"}.get(kind, "")
            there = bool(object) and bool(self._engine.store.existing(self._conn, object, "id", [name]))
        if not there:
            kinds = ", ".join(f"{kind}:…" for kind in GRANTEES)
            raise BadRequest("{grantee} is nobody to share with ({kinds}).", field="grantee", grantee=grantee[:80],
                             kinds=kinds)  # fmt: skip
