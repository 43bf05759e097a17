"""Every role × object × field × channel against a naive reference: nothing shows that the reference does not allow.

One world of records is made once per database; what changes from case to case are the documents of access (roles, role
tree, permission sets, defaults, sharing rules), first a fixed set, then random ones. ``Reference`` says in plain Python
over plain dicts who may see and do what; every channel must give exactly that: the same records in the same order, the
same counts and sums, the same keys, and the same refusals for what is hidden as for what is not there.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.access.shares import Share, add_share
from ratoon.platform.api.objects import Label, described
from ratoon.platform.api.openapi import RecordSchemas
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, Forbidden, NotFound, RatoonError, ValidationFailed
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, place
from ratoon.platform.records.by_key import resolved
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.explaining import explain_field
from ratoon.platform.records.reading import EXPANDED, Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.taking_out import as_csv
from ratoon.platform.storage.system import system_tables

Row = Mapping[str, Any]
FIELDS = ("name", "num", "code")
OBJECTS = ("customer", "contract", "item", "memo")
POINTS = {"contract": ("customer", "customer"), "item": ("contract", "contract"), "memo": ("about", "contract")}
"""Object → its lookup and where that leads."""
CHILDREN = {"customer": ("contract", "customer"), "contract": ("item", "contract")}
NOBODY = "01900000-0000-7000-8000-fffffffffffe"


def fields(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": "name", "type": "text", "label": "Name", "searchable": True, "track_history": True},
        {"name": "num", "type": "integer", "label": "Num", "track_history": True},
        {"name": "code", "type": "text", "label": "Code", "searchable": True, "unique": True, "track_history": True},
        *more,
    ]


def documents(defaults: Mapping[str, str]) -> list[dict[str, Any]]:
    def obj(name: str, *more: dict[str, Any]) -> dict[str, Any]:
        made = {"kind": "object", "name": name, "label": name, "plural_label": f"{name}s", "title": "name",
                "fields": fields(*more)}  # fmt: skip
        return {**made, "default_access": defaults[name]} if name in defaults else made

    return [
        {"kind": "package", "name": "vault", "version": "1.0.0", "label": "Vault"},
        obj("customer"),
        obj(
            "contract",
            {"name": "customer", "type": "lookup", "object": "customer", "label": "Customer", "on_delete": "restrict"},
            {"name": "also", "type": "many_to_many", "object": "customer", "label": "Also"},
            {"name": "total", "type": "rollup", "of": "item", "via": "contract", "operation": "sum", "field": "num",
             "label": "Total"},
        ),
        obj("item", {"name": "contract", "type": "master_detail", "object": "contract", "label": "Contract",
                     "required": True}),
        obj("memo", {"name": "about", "type": "lookup", "object": "contract", "label": "About"}),
    ]  # fmt: skip


FORMULAS: dict[str, Callable[[Reference, str, Row, Actor], bool]] = {
    "num > 5": lambda w, o, r, a: r["num"] is not None and r["num"] > 5,
    "owner = $user.id": lambda w, o, r, a: r["owner"] == a.id,
    'name = "n1"': lambda w, o, r, a: r["name"] == "n1",
    "ISBLANK(num)": lambda w, o, r, a: r["num"] is None,
}
"""Row formulas and what they mean."""


class Reference:
    """Who may see and do what, said as simply as possible."""

    def __init__(self, access: Access, rows: Mapping[str, Mapping[str, Row]], roles: Mapping[str, set[str]],
                 shares: list[Share]) -> None:  # fmt: skip
        self.access = access
        self.rows = rows
        self.roles_of = roles
        self.shares = shares

    def grants(self, actor: Actor) -> list[dict[str, Any]]:
        named = [*actor.roles, *(f"+{name}" for name in actor.permission_sets)]
        return [self.access.grants[name] for name in named if name in self.access.grants]

    def rights(self, grant: dict[str, Any], object: str) -> set[str]:
        given = set(grant["objects"].get(object, grant["objects"].get("*", ())))
        if "modify_all" in given:
            given |= {"edit", "delete", "view_all"}
        if "view_all" in given:
            given |= {"read"}
        return given | ({"read"} if "modify_all" in given else set())

    def may(self, actor: Actor, object: str, right: str) -> bool:
        return any(right in self.rights(grant, object) for grant in self.grants(actor))

    def field(self, actor: Actor, object: str, field: str, right: str) -> bool:
        opening = {"read"} if right == "read" else {"edit", "create"}
        for grant in self.grants(actor):
            if self.rights(grant, object) & opening:
                named = grant["fields"].get(f"{object}.{field}")
                if named is None or right in named or (right == "read" and "edit" in named):
                    return True
        return False

    def above(self, role: str) -> list[str]:
        chain: list[str] = []
        here = self.access.parents.get(role)
        while here is not None:
            chain.append(here)
            here = self.access.parents.get(here)
        return chain

    def reached(self, actor: Actor, object: str, row: Row, action: str) -> bool:
        """Whether sharing lets the row reach the actor for the action."""
        default = self.access.defaults.get(object, "controlled_by_parent" if object == "item" else "read_write")
        if default == "read_write" or (default == "read" and action == "read"):
            return True
        if default == "controlled_by_parent":
            master = self.rows["contract"][row["contract"]]
            return self.row(actor, "contract", master, "read" if action == "read" else "edit")
        if row["owner"] == actor.id:
            return True
        theirs = self.roles_of.get(row["owner"], set())
        if any(mine in self.above(role) and mine != role for role in theirs for mine in actor.roles):
            return True
        if action == "delete":
            return False
        for rule in self.access.sharing:
            if rule["object"] != object or (action == "edit" and rule["access"] == "read"):
                continue
            if self.meant(rule["with"], actor) and (
                "when" not in rule or FORMULAS[rule["when"]](self, object, row, actor)
            ):
                return True
        names = {f"user:{actor.id}", *(f"team:{id}" for id, _ in actor.teams), *(f"role:{r}" for r in actor.roles)}
        names |= {f"below:{r}" for role in actor.roles for r in (role, *self.above(role))}
        return any(
            share.record == row["id"] and share.grantee in names and (action == "read" or share.access == "edit")
            for share in self.shares
        )

    def meant(self, grantees: list[dict[str, str]], actor: Actor) -> bool:
        for one in grantees:
            ((kind, name),) = one.items()
            if kind == "role" and name in actor.roles:
                return True
            if kind == "role_and_below" and any(name in (r, *self.above(r)) for r in actor.roles):
                return True
            if kind == "team" and any(name == team for _, team in actor.teams):
                return True
            if kind == "user" and name.lower() == actor.email:
                return True
        return False

    def row(self, actor: Actor, object: str, row: Row, action: str) -> bool:
        every = "view_all" if action == "read" else "modify_all"
        for grant in self.grants(actor):
            rights = self.rights(grant, object)
            if action not in rights:
                continue
            limit = grant["rows"].get(object)
            if limit is not None and not FORMULAS[limit](self, object, row, actor):
                continue
            if every in rights or self.reached(actor, object, row, action):
                return True
        return False

    def seen(self, actor: Actor, object: str) -> list[Row]:
        """The visible rows, newest first."""
        return [r for _, r in sorted(self.rows[object].items(), reverse=True) if self.row(actor, object, r, "read")]

    def behind(self, actor: Actor, object: str, row: Row) -> Row | None:
        """The record behind the lookup, if the actor may see it."""
        lookup, target = POINTS[object]
        there = self.rows[target].get(row[lookup] or "")
        return there if there is not None and self.row(actor, target, there, "read") else None

    def readable(self, actor: Actor, object: str, field: str) -> bool:
        return self.may(actor, object, "read") and self.field(actor, object, field, "read")


@dataclass(frozen=True)
class Access:
    """The documents of access of one case."""

    grants: dict[str, dict[str, Any]]
    parents: dict[str, str]
    defaults: dict[str, str]
    sharing: list[dict[str, Any]]

    def written(self) -> list[dict[str, Any]]:
        found = documents(self.defaults)
        for name, grant in self.grants.items():
            shape = {"kind": "role", "name": name} if name[0] != "+" else {"kind": "permission_set", "name": name[1:]}
            parent = {"parent": self.parents[name]} if name in self.parents else {}
            found.append({**shape, "label": name, **parent, **grant})
        for number, rule in enumerate(self.sharing):
            found.append({"kind": "sharing", "name": f"rule{number}", "label": "Rule", **rule})
        return found


USERS = {"u0": ["r0"], "u1": ["r1"], "u2": ["r2"], "u3": ["r3"], "u4": ["r1", "r3"], "u5": []}
SETS = {"u1": ["s0"], "u3": ["s1"]}
TEAMS = {"u2": ["Blue"], "u5": ["Blue", "Red"]}


class Vault:
    """The records, the same in every case, and the people."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        with environment.write(SYSTEM) as records:
            users = records.create(
                "user", [{"name": name, "email": f"{name}@example.com", "active": True} for name in USERS]
            )
            teams = records.create("user_team", [{"name": "Blue"}, {"name": "Red"}])
            ids = {user["name"]: user["id"] for user in users}
            team_ids = {team["name"]: team["id"] for team in teams}
            records.connection.execute(
                insert(system_tables().tables["ratoon_user_role"]),
                [{"user_id": ids[user], "role": role} for user, roles in USERS.items() for role in roles],
            )
            self.rows = self._fill(records, list(ids.values()))
            self.shares = self._share(records, ids, team_ids)
        self.roles = {ids[name]: set(roles) for name, roles in USERS.items()}
        self.actors = [
            Actor(
                ids[name], name, f"{name}@example.com", roles=frozenset(roles),
                permission_sets=frozenset(SETS.get(name, ())),
                teams=frozenset((team_ids[team], team) for team in TEAMS.get(name, ())),
            )
            for name, roles in USERS.items()
        ]  # fmt: skip

    def _fill(self, records: RecordService, owners: list[str]) -> dict[str, dict[str, Row]]:
        turn = itertools.cycle(owners)
        numbers = itertools.cycle([1, 7, None, 3, 9])

        def rows(prefix: str, count: int, **more: list[str]) -> list[dict[str, Any]]:
            return [
                {"name": f"n{at % 3}", "num": next(numbers), "code": f"{prefix}{at}", "owner": next(turn),
                 **{key: values[at % len(values)] for key, values in more.items()}}
                for at in range(count)
            ]  # fmt: skip

        customers = [r["id"] for r in records.create("customer", rows("cu", 6))]
        given = rows("co", 7, customer=customers)
        given = [{**row, "also": [{"id": customers[at % 4]}, {"id": customers[5]}]} for at, row in enumerate(given)]
        given[6]["customer"] = None
        contracts = [r["id"] for r in records.create("contract", given)]
        records.create("item", rows("it", 8, contract=contracts))
        records.create("memo", rows("me", 6, about=contracts))
        for object in OBJECTS:
            first = records.list(Query(object, sort=["id"])).records[0]
            records.update(object, [Change(first["id"], {"name": "n2", "num": 8})])
        return {
            object: {r["id"]: records.get(object, r["id"]) for r in records.list(Query(object)).records}
            for object in OBJECTS
        }

    def _share(self, records: RecordService, ids: dict[str, str], teams: dict[str, str]) -> list[Share]:
        grantees = [f"user:{ids['u1']}", f"team:{teams['Blue']}", "role:r3", "below:r1", f"team:{teams['Red']}"]
        shares = []
        for object in ("customer", "contract", "memo"):
            for at, (record, grantee) in enumerate(zip(sorted(self.rows[object]), grantees, strict=False)):
                world = self.environment.world
                share = Share(
                    world.new_id(), object, record, grantee, ("read", "edit")[at % 2], "", world.clock(), None
                )
                add_share(records.connection, share)
                shares.append(share)
        return shares

    def engine(self, access: Access) -> Engine:
        """The engine of a case: only roles and sharing differ, so the tables serve them all."""
        written = [Document(place(d["kind"], d), d["kind"], d, "vault") for d in access.written()]
        environment = self.environment
        registry = compile_registry(written, types=environment.types, functions=environment.functions)
        return environment.build(registry)


class Undone(Exception):
    pass


@dataclass
class Case:
    """One actor in one case, and what the channels must answer."""

    engine: Engine
    reference: Reference
    actor: Actor
    connection: Any
    checked: int = 0

    @property
    def records(self) -> RecordService:
        return RecordService(self.engine, self.connection, self.actor)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is written inside is taken back."""
        nested = self.connection.begin_nested()
        try:
            yield
        finally:
            nested.rollback()

    def same(self, what: str, found: Any, wanted: Any) -> None:
        self.checked += 1
        told = (self.actor.name, what, self.reference.access)
        assert found == wanted, f"{told}: {found!r} instead of {wanted!r}"

    def refused(self, what: str, call: Callable[[], Any], *kinds: type[RatoonError]) -> RatoonError:
        self.checked += 1
        try:
            answer = call()
        except kinds as error:
            return error
        raise AssertionError(f"{self.actor.name} got {answer!r} from {what}: {self.reference.access}")

    def listed(self, object: str, **query: Any) -> list[str]:
        page = self.records.list(Query(object, fields=["id"], count=True, **query))
        self.same(f"count {object} {query}", page.total, len(page.records))
        return [record["id"] for record in page.records]

    def check(self, channels: Collection[str]) -> int:
        for object in OBJECTS:
            if not self.reference.may(self.actor, object, "read"):
                self.closed(object)
                continue
            for channel in channels:
                getattr(self, channel)(object)
        return self.checked

    def closed(self, object: str) -> None:
        some = next(iter(self.reference.rows[object]))
        grants = self.reference.grants(self.actor)
        refusal = Forbidden if any(self.reference.rights(grant, object) for grant in grants) else NotFound
        self.refused("list", lambda: self.records.list(Query(object)), refusal)
        self.refused("get", lambda: self.records.get(object, some), refusal)
        self.refused("aggregate", lambda: self.records.aggregate(object), refusal)
        self.same("titles", self.records.titles(object, [some]), {})

    def reads(self, object: str) -> None:
        actor, ref = self.actor, self.reference
        seen = ref.seen(actor, object)
        ids = [row["id"] for row in seen]
        self.same(f"list {object}", self.listed(object), ids)
        self.same(f"aggregate {object}", self.records.aggregate(object), [{"count": len(ids)}])
        open_ = {f for f in FIELDS if ref.readable(actor, object, f)}
        label: Label = lambda text, package: text  # noqa: E731
        told = described(self.engine.registry[object], self.engine, actor, label)
        self.same(f"describe {object}", {f["name"] for f in told["fields"]} & set(FIELDS), open_)
        for record, row in ref.rows[object].items():
            if record in ids:
                got = self.records.get(object, record)
                self.same(f"get {object}", {k: got[k] for k in FIELDS if k in got}, {k: row[k] for k in open_})
                changed = [set(e["changes"]) for e in self.records.history(object, record) if e["action"] == "updated"]
                self.same("history", [c for c in changed if not c or not c <= open_], [])
            else:
                self.same("titles", self.records.titles(object, [record]), {})
                error = self.refused("get", lambda record=record: self.records.get(object, record), NotFound)
                nothing = self.refused("get", lambda: self.records.get(object, NOBODY), NotFound)
                self.same("text of a refusal", error.text().replace(record, ""), nothing.text().replace(NOBODY, ""))
                self.refused("history", lambda record=record: self.records.history(object, record), NotFound)

    def fields(self, object: str) -> None:
        for field in FIELDS:
            self.field(object, field)

    def field(self, object: str, field: str) -> None:
        actor, ref = self.actor, self.reference
        seen = ref.seen(actor, object)
        filled = f"NOT(ISBLANK({field}))"
        if not ref.readable(actor, object, field):
            for what, call in {
                "filter": lambda: self.records.list(Query(object, filter=filled)),
                "sort": lambda: self.records.list(Query(object, sort=[field])),
                "fields": lambda: self.records.list(Query(object, fields=[field])),
                "group": lambda: self.records.aggregate(object, group_by=[field]),
                "measure": lambda: self.records.aggregate(object, measures=[("max", field)]),
            }.items():
                error = self.refused(f"{what} {object}.{field}", call, BadRequest)
                self.same("suggestion", error.params.get("near") in (None, ""), error.params.get("near") != field)
            return
        self.same(f"{filled} {object}", self.listed(object, filter=filled),
                  [r["id"] for r in seen if r[field] is not None])  # fmt: skip
        blank: Any = 0 if field == "num" else ""
        in_order = sorted(seen, key=lambda r: (r[field] is not None, r[field] or blank, r["id"]), reverse=True)
        down = [r["id"] for r in in_order]
        self.same(f"sort {object}.{field}", self.listed(object, sort=[f"-{field}"]), down)
        groups: dict[Any, int] = {}
        for row in seen:
            groups[row[field]] = groups.get(row[field], 0) + 1
        got = self.records.aggregate(object, group_by=[field])
        self.same(f"group {object}.{field}", {g[field]: g["count"] for g in got}, groups)
        if field == "num":
            (sums,) = self.records.aggregate(object, measures=[("sum", field), ("min", field)])
            values = [r[field] for r in seen if r[field] is not None]
            self.same("sum", (sums["sum_num"], sums["min_num"]), (sum(values), min(values, default=None)))

    def lookups(self, object: str) -> None:
        if object not in POINTS:
            return
        actor, ref = self.actor, self.reference
        lookup, target = POINTS[object]
        seen = ref.seen(actor, object)
        path = f"{lookup}.num"
        openly = ref.readable(actor, object, lookup) and ref.readable(actor, target, "num")
        if not openly:
            self.refused(path, lambda: self.records.list(Query(object, filter=f"{path} > 5")), BadRequest, Forbidden)
        else:
            for source, means in {
                f"{path} > 5": lambda n: n is not None and n > 5,
                f"ISBLANK({path})": lambda n: n is None,
            }.items():
                wanted = [r["id"] for r in seen if means((ref.behind(actor, object, r) or {}).get("num"))]
                self.same(f"{object} {source}", self.listed(object, filter=source), wanted)
                (count,) = self.records.aggregate(object, filter=source)
                self.same(f"aggregate {object} {source}", count["count"], len(wanted))
        if ref.readable(actor, object, lookup):
            page = self.records.list(Query(object, expand=[lookup]))
            shown = {r["id"]: (r[EXPANDED][lookup] or {}).get("id") for r in page.records}
            wanted_ids = {r["id"]: (ref.behind(actor, object, r) or {}).get("id") for r in seen}
            self.same(f"expand {object}.{lookup}", shown, wanted_ids)
            hits = {id for _, id, _ in self.records.lookup(object, lookup, limit=50)}
            self.same(f"lookup {object}.{lookup}", hits, {r["id"] for r in ref.seen(actor, target)})
            named = ref.may(actor, target, "read") and ref.readable(actor, target, "name")
            hits = {id for _, id, _ in self.records.lookup(object, lookup, "n1", limit=50)}
            wanted_hits = {r["id"] for r in ref.seen(actor, target) if r["name"] == "n1"} if named else set()
            self.same(f"lookup {object}.{lookup} n1", hits, wanted_hits)
        if object == "contract" and ref.readable(actor, object, "also"):
            visible = {r["id"] for r in ref.seen(actor, "customer")}
            for row in seen:
                links = {link["id"] for link in self.records.get(object, row["id"])["also"]}
                self.same("many to many", links, {link["id"] for link in row["also"]} & visible)

    def children(self, object: str) -> None:
        if object not in CHILDREN:
            return
        actor, ref = self.actor, self.reference
        child, via = CHILDREN[object]
        source = f"SUM({child}.num) > 6"
        if not (ref.readable(actor, child, "num") and ref.readable(actor, child, via)):
            self.refused(source, lambda: self.records.list(Query(object, filter=source)), BadRequest, Forbidden)
            return
        mine = ref.seen(actor, child)
        sums = {r["id"]: sum(c["num"] or 0 for c in mine if c[via] == r["id"]) for r in ref.seen(actor, object)}
        self.same(f"{object} {source}", self.listed(object, filter=source), [id for id, n in sums.items() if n > 6])

    def writes(self, object: str) -> None:
        actor, ref = self.actor, self.reference
        may_name = ref.field(actor, object, "name", "edit")
        for record, row in ref.rows[object].items():
            for action, right in (("edit", "edit"), ("delete", "delete")):
                if not ref.may(actor, object, right):
                    continue
                reached = ref.row(actor, object, row, "read") and ref.row(actor, object, row, action)
                with self.undone():
                    outcome = self._try(action, object, record)
                if not reached:
                    self.same(f"{action} {object}", outcome, "NotFound")
                elif action == "edit":
                    refusal = "forbidden_field" if ref.readable(actor, object, "name") else "unknown_field"
                    self.same(f"{action} {object}", outcome, "done" if may_name else refusal)
                else:
                    self.same(f"{action} {object}", outcome in ("done", "Conflict"), True)
        if object == "memo" and ref.may(actor, "memo", "create") and ref.field(actor, "memo", "about", "edit"):
            for target, row in ref.rows["contract"].items():
                with self.undone():
                    try:
                        self.records.create("memo", [{"about": target}])
                        outcome = "done"
                    except ValidationFailed as refused:
                        outcome = refused.problems[0].code
                wanted = "done" if ref.row(actor, "contract", row, "read") else "unknown_record"
                self.same("typed id", outcome, wanted)

    def _try(self, action: str, object: str, record: str) -> str:
        try:
            if action == "edit":
                self.records.update(object, [Change(record, {"name": "other"})])
            else:
                self.records.delete(object, [record])
        except ValidationFailed as refused:
            return refused.problems[0].code
        except (NotFound, Conflict) as error:
            if isinstance(error, Conflict):
                hidden = {r for rows in self.reference.rows.values() for r in rows}
                hidden -= {r["id"] for o in OBJECTS for r in self.reference.seen(self.actor, o)}
                self.same("restrict", hidden & set(error.params.get("records") or ()), set())
            return type(error).__name__
        return "done"

    def search(self, object: str) -> None:
        """Over all objects, once."""
        if object != next(o for o in OBJECTS if self.reference.may(self.actor, o, "read")):
            return
        actor, ref = self.actor, self.reference
        for text, field in (("n1", "name"), ("co3", "code"), ("cu", "code"), ("n2 it", "both")):
            hits = {(object, id) for object, id, _ in self.records.search(text, limit=100)}
            wanted = set()
            for object in OBJECTS:
                if not ref.may(actor, object, "read"):
                    continue
                open_ = [f for f in ("name", "code") if ref.readable(actor, object, f)]
                for row in ref.seen(actor, object):
                    words = [row[f] for f in open_]
                    if all(any(w.startswith(t) if t == text.split()[-1] else w == t for w in words)
                           for t in text.split()):  # fmt: skip
                        wanted.add((object, row["id"]))
            self.same(f"search {text} {field}", {h for h in hits if h[0] in OBJECTS}, wanted)

    def export(self, object: str) -> None:
        """CSV: the rows of the list, the columns that may be read, titles of what may be seen behind lookups."""
        actor, ref = self.actor, self.reference
        query = Query(object)
        if not ref.may(actor, object, "export"):
            self.refused("export", lambda: as_csv(self.records, query), Forbidden)
            return
        with self.undone():
            rows = list(csv.DictReader(io.StringIO(as_csv(self.records, query))))
        seen = ref.seen(actor, object)
        self.same(f"export {object}", [row["id"] for row in rows], [row["id"] for row in seen])
        open_ = {f for f in FIELDS if ref.readable(actor, object, f)}
        for told, row in zip(rows, seen, strict=True):
            self.same("columns", {f for f in FIELDS if f in told}, open_)
            self.same("cells", [told[f] for f in sorted(open_)], ["" if row[f] is None else str(row[f]) for f in
                                                                sorted(open_)])  # fmt: skip
            if object in POINTS and ref.readable(actor, object, POINTS[object][0]):
                lookup, target = POINTS[object]
                there = ref.behind(actor, object, row)
                named = there["name"] if there is not None and ref.readable(actor, target, "name") else ""
                self.same("title", told[f"{lookup}.title"], named)

    def why(self, object: str) -> None:
        """“Why this value?” of a rollup: its records are those that may be seen, when all it reads may be."""
        actor, ref = self.actor, self.reference
        if object != "contract":
            return
        open_ = ref.readable(actor, object, "total")
        parts = all(ref.readable(actor, "item", key) for key in ("num", "name", "contract"))
        mine = ref.seen(actor, "item") if parts else []
        for record, row in ref.rows[object].items():
            call = partial(explain_field, self.records, object, record, "total")
            if not open_ or not ref.row(actor, object, row, "read"):
                self.refused("why", call, NotFound)
                continue
            told = call()
            self.same("why", (told.value, told.hidden), (row["total"], not parts))
            self.same("why of", {(r.id, r.title, r.value) for r in told.records},
                      {(r["id"], r["name"], r["num"]) for r in mine if r["contract"] == record})  # fmt: skip

    def schema(self, object: str) -> None:
        """OpenAPI: the properties of what is answered and of what may be sent."""
        actor, ref = self.actor, self.reference
        schemas = RecordSchemas(self.engine.registry[object], self.engine, actor, lambda text, package: text)
        told = set(schemas.record()["properties"]) & set(FIELDS)
        self.same("schema", told, {f for f in FIELDS if ref.readable(actor, object, f)})
        told = set(schemas.input(new=True)["properties"]) & set(FIELDS)
        self.same("input", told, {f for f in FIELDS if ref.field(actor, object, f, "edit")})

    def by_key(self, object: str) -> None:
        """Upserts and imports by a unique field: a hidden record is never found by it."""
        actor, ref = self.actor, self.reference
        open_ = ref.readable(actor, object, "code")
        writes = ref.field(actor, object, "code", "edit")
        refusal = None if writes else "forbidden_field"
        for row in [*ref.rows[object].values(), None]:
            code = "new" if row is None else row["code"]
            with self.undone():
                outcome = self._told(lambda code=code: self.records.upsert(object, "code", [{"code": code}]))
            if not open_:
                wanted = "BadRequest"
            elif row is None or not ref.row(actor, object, row, "read"):
                wanted = "Forbidden" if not ref.may(actor, object, "create") else refusal or "not_unique"
                if row is None and wanted == "not_unique":
                    wanted = "done"
                    if object == "item":  # it needs a contract: told to who knows that field
                        rights = (ref.field(actor, "item", "contract", right) for right in ("read", "edit"))
                        wanted = "required" if any(rights) else "unseen"
                elif row is not None and wanted == refusal:
                    wanted = "not_unique"  # said before anything is written
            elif not ref.may(actor, object, "edit"):
                wanted = "Forbidden"
            else:
                wanted = (refusal or "done") if ref.row(actor, object, row, "edit") else "NotFound"
            self.same(f"upsert {object}", outcome, wanted)
        if object not in POINTS:
            return
        lookup, target = POINTS[object]
        known = ref.readable(actor, object, lookup) or ref.field(actor, object, lookup, "edit")
        for row in ref.rows[target].values():
            column = f"{lookup}.code"
            outcome = self._told(lambda row=row, column=column: resolved(self.records, object, [{column: row["code"]}]))
            found = known and ref.readable(actor, target, "code")
            wanted = "done" if ref.row(actor, target, row, "read") else "unknown_reference"
            self.same(f"import {object}", outcome, wanted if found else "unknown_field")

    def bin(self, object: str) -> None:
        """The recycle bin: what is listed there and what may be brought back."""
        actor, ref = self.actor, self.reference
        if object != "memo":
            return
        for record, row in ref.rows[object].items():
            with self.undone():
                RecordService(self.engine, self.connection, SYSTEM).delete(object, [record])
                listed = [r["id"] for r in self.records.list(Query(object, deleted=True)).records]
                self.same("bin", listed, [record] if ref.row(actor, object, row, "read") else [])
                outcome = self._told(lambda record=record: self.records.restore(object, [record]))
            may = ref.row(actor, object, row, "read") and ref.row(actor, object, row, "delete")
            wanted = ("done" if may else "NotFound") if ref.may(actor, object, "delete") else "Forbidden"
            self.same("restore", outcome, wanted)

    def _told(self, call: Callable[[], Any]) -> str:
        """What became of it: ``done``, the code of the first problem, or the kind of refusal."""
        try:
            call()
        except ValidationFailed as refused:
            return refused.problems[0].code
        except RatoonError as error:
            return type(error).__name__
        return "done"


CHANNELS = ("reads", "fields", "lookups", "children", "writes", "search", "export", "why", "schema", "by_key", "bin")
"""Methods of ``Case``, each a family of ways to records."""

ALL = ["create", "read", "edit", "delete"]
FIXED = Access(
    grants={
        "r0": {"objects": {"*": [*ALL, "export"]}, "fields": {}, "rows": {}},
        "r1": {"objects": {"customer": ["read"], "contract": ["read", "edit"], "item": ALL, "memo": ALL},
               "fields": {"customer.num": [], "contract.code": ["read"]}, "rows": {}},
        "r2": {"objects": {"contract": ALL, "memo": ["read", "create"]}, "fields": {"memo.name": []},
               "rows": {"contract": "num > 5"}},
        "r3": {"objects": {"*": ["read", "export"]}, "fields": {"contract.customer": [], "item.num": []},
               "rows": {"memo": "owner = $user.id"}},
        "+s0": {"objects": {"customer": ["view_all"]}, "fields": {}, "rows": {}},
        "+s1": {"objects": {"contract": ["modify_all"]}, "fields": {"contract.num": []}, "rows": {}},
    },
    parents={"r1": "r0", "r2": "r1"},
    defaults={"customer": "private", "contract": "private", "memo": "read"},
    sharing=[
        {"object": "customer", "when": "num > 5", "with": [{"role_and_below": "r1"}], "access": "read"},
        {"object": "contract", "when": 'name = "n1"', "with": [{"team": "Blue"}], "access": "edit"},
        {"object": "memo", "with": [{"user": "u4@example.com"}], "access": "edit"},
    ],
)  # fmt: skip

RIGHTS = ["create", "read", "edit", "delete", "view_all", "modify_all", "export"]
FIELD_NAMES = [f"{o}.{f}" for o in OBJECTS for f in (*FIELDS, *(POINTS[o][:1] if o in POINTS else ()))]


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    rights = st.lists(st.sampled_from(RIGHTS), unique=True, max_size=4)
    formulas = st.sampled_from(sorted(FORMULAS))
    grant = st.fixed_dictionaries(
        {
            "objects": st.dictionaries(st.sampled_from([*OBJECTS, "*"]), rights, max_size=4),
            "fields": st.dictionaries(
                st.sampled_from(FIELD_NAMES), st.lists(st.sampled_from(["read", "edit"]), max_size=1), max_size=4
            ),
            "rows": st.dictionaries(st.sampled_from(OBJECTS), formulas, max_size=2),
        }
    )
    names = ["r0", "r1", "r2", "r3", "+s0", "+s1"]
    parents = {}
    for at in (1, 2, 3):
        above = draw(st.sampled_from([None, *names[:at]]))
        if above is not None:
            parents[names[at]] = above
    grantee = st.one_of(
        st.sampled_from(names[:4]).map(lambda r: {"role": r}),
        st.sampled_from(names[:4]).map(lambda r: {"role_and_below": r}),
        st.sampled_from([{"team": "Blue"}, {"team": "Red"}, {"user": "u5@example.com"}]),
    )
    rule = st.fixed_dictionaries(
        {
            "object": st.sampled_from(["customer", "contract", "memo"]),
            "with": st.lists(grantee, min_size=1, max_size=2),
            "access": st.sampled_from(["read", "edit"]),
        },
        optional={"when": formulas},
    )
    default = st.sampled_from(["private", "read", "read_write"])
    return Access(
        grants={name: draw(grant) for name in names},
        parents=parents,
        defaults={object: draw(default) for object in ("customer", "contract", "memo")},
        sharing=draw(st.lists(rule, max_size=3)),
    )


@pytest.fixture
def vault(open_world: Callable[..., Environment]) -> Vault:
    return Vault(open_world(documents({})))


def checked(vault: Vault, access: Access, channels: Collection[str] = CHANNELS) -> int:
    """Goes through every actor and these channels of a case; returns how many answers were compared."""
    engine = vault.engine(access)
    reference = Reference(access, vault.rows, vault.roles, vault.shares)
    count = 0
    with suppress(Undone), vault.environment.database.write() as connection:
        for actor in vault.actors:
            count += Case(engine, reference, actor, connection).check(channels)
        raise Undone
    return count


def test_every_channel_gives_what_the_reference_allows_and_nothing_else(vault: Vault) -> None:
    assert checked(vault, FIXED) > 1000


def test_random_roles_and_sharing_agree_with_the_reference(vault: Vault) -> None:
    counts = []

    @settings(
        max_examples=16,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(accesses(), st.lists(st.sampled_from(CHANNELS), unique=True, min_size=4, max_size=6))
    def agree(access: Access, channels: list[str]) -> None:
        counts.append(checked(vault, access, channels))

    agree()
    assert sum(counts) > 3000
