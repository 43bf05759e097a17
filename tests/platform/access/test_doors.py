"""Every address of the application as somebody with few rights: what is hidden from them changes nothing they are told.

Two firms that differ only in what one person may not see (values of hidden fields, everything in hidden records, how
many of those there are) are asked the same questions by that person, one address after another. Every answer must be
the same to the byte: no value, count, order, existence or error tells the two apart. A hidden field must also be
answered word for word like a name that no field has, a hidden record like an id that no record has. An administrator,
who may see all of it, proves at each address that the two firms do differ there; addresses where they cannot are listed
with a reason, and so is every address that is not asked. So a new address without a place here fails.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import create_app, open_environment
from ratoon.platform.automation.approvals import approvals_of
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.ownership import Ownership
from ratoon.platform.storage.files import File, add_file, attach_files
from ratoon.platform.storage.notification_ways import Way, choose
from ratoon.ui import plugin as screens

ALL = ["create", "read", "edit", "delete"]
NOBODY = "01900000-0000-7000-8000-fffffffffffe"
UNKNOWN = "zq"
"""A name that no field has, repeated to the length of the one it stands for."""


def field_(name: str, kind: str = "text", **options: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "label": f"«{name.title()}»", **options}


def picklist(name: str) -> dict[str, Any]:
    values = [{"value": value, "label": f"{name} {value}!"} for value in ("high", "low")]
    return field_(name, "picklist", values=values, track_history=True)


FIELDS: dict[str, list[dict[str, Any]]] = {
    "client": [
        field_("firmname", required=True, searchable=True, track_history=True),
        field_("grade", "integer", track_history=True),
        field_("taxno", external_id=True, searchable=True),
        field_("phone", "phone", sensitivity="personal", searchable=True, track_history=True),
        field_("wallet", "currency", currency="CNY", track_history=True),
        picklist("level"),
        field_("twice", "formula", formula="grade * 2", returns="number"),
        field_("vague", "formula", formula="TEXT(grade) & TEXT(YEAR(TODAY()))", returns="text"),
        field_("volume", "rollup", of="matter", via="forwhom", operation="sum", field="worth"),
        field_("tags", "many_to_many", object="tag", attributes=[field_("since", "date")], track_history=True),
    ],
    "matter": [
        field_("heading", required=True, searchable=True, track_history=True),
        field_("forwhom", "lookup", object="client", track_history=True),
        field_("worth", "integer", track_history=True),
        field_("phase", "stage", track_history=True),
        picklist("sortof"),
        field_("due", "date"),
        field_("paper", "file"),
        field_("topic", "polymorphic", objects=["client", "tag"]),
        field_("remarks", "textarea", searchable=True, track_history=True),
        field_("crate", "lookup", object="vault"),
    ],
    "tag": [field_("tagword", required=True, searchable=True), field_("weight", "integer")],
    "vault": [field_("boxcode", required=True, searchable=True, unique=True)],
}
TITLES = {"client": "firmname", "matter": "heading", "tag": "tagword", "vault": "boxcode"}
HIDDEN: dict[str, dict[str, tuple[str, ...]]] = {
    "clerk": {"client": ("grade", "taxno", "level", "twice", "vague", "volume"),
              "matter": ("worth", "phase", "paper", "remarks"), "tag": ("weight",)},
    "reader": {"client": ("phone", "wallet", "tags", "volume"),
               "matter": ("heading", "sortof", "due", "forwhom"), "tag": ()},
    "auditor": {"client": ("firmname",), "matter": ("topic", "crate"), "tag": ("tagword",)},
}  # fmt: skip
"""Role → object → fields it may not read. ``vault`` is closed to all of them; together they hide every other field."""
RIGHTS = {"clerk": ALL, "reader": ["read", "export"], "auditor": ["read", "edit", "create", "export"]}
PEOPLE = {"cleo": "clerk", "rita": "reader", "aldo": "auditor", "pia": "partner"}
SECRETS = ("Nightingale", "Kingfisher")
"""What hidden texts contain in the one firm and in the other."""

DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "package", "name": "firm", "version": "1.0.0", "label": "Firm"},
    *({"kind": "object", "name": name, "label": name.title(), "plural_label": f"{name.title()}s", "title": TITLES[name],
       "default_access": "read_write" if name in ("tag", "vault") else "private", "person": name == "client",
       "fields": fields} for name, fields in FIELDS.items()),
    {"kind": "pipeline", "object": "matter", "name": "work", "label": "Work", "stages": [
        {"name": "new", "label": "new stage!", "category": "open", "next": ["done", "lost"],
         "required_fields": ["worth"], "checklist": [{"name": "conflicts", "label": "conflicts task!"}]},
        {"name": "done", "label": "done stage!", "category": "won"},
        {"name": "lost", "label": "lost stage!", "category": "lost"},
    ]},
    {"kind": "view", "object": "matter", "name": "all", "label": "All", "default": True,
     "columns": [f["name"] for f in FIELDS["matter"]], "sort": ["-worth", "heading"]},
    {"kind": "view", "object": "matter", "name": "by_stage", "label": "By stage", "type": "board",
     "group_by": "phase", "columns": ["heading", "worth", "forwhom"]},
    {"kind": "view", "object": "matter", "name": "by_kind", "label": "By kind", "type": "board",
     "group_by": "sortof", "columns": ["heading", "worth", "forwhom"]},
    {"kind": "view", "object": "matter", "name": "month", "label": "Month", "type": "calendar", "date_field": "due",
     "columns": ["heading", "worth"]},
    {"kind": "approval", "object": "matter", "name": "opening", "label": "Opening",
     "steps": [{"name": "look", "label": "Look", "own": True,
                "approvers": [{"role": role} for role in ("clerk", "reader", "auditor", "partner")]}]},
    *({"kind": "template", "name": f"told_{purpose}", "label": "Told", "for": purpose, "object": "matter",
       "subject": "{{ record.heading }}", "text": "".join(f"{name}: {{{{ record.{name} }}}}; " for name in
                                                        ("worth", "phase", "sortof", "remarks", "forwhom.firmname",
                                                         "forwhom.grade", "forwhom.phone"))}
      for purpose in ("approval", "assignment")),
    {"kind": "duplicate", "object": "client", "name": "same", "label": "Same", "action": "warn",
     "match": [{"field": "firmname"}]},
    {"kind": "duplicate", "object": "client", "name": "same_tax", "label": "Same tax", "action": "warn",
     "match": [{"field": "phone"}, {"field": "level"}]},
    {"kind": "automation", "object": "matter", "name": "look_again", "label": "Look again", "on": ["button"],
     "when": "after_commit", "condition": "worth > 5080", "button": {"label": "Look"},
     "actions": [{"type": "notify", "to": "owner", "subject": '"Look"'}]},
    *({"kind": "role", "name": role, "label": role.title(),
       "objects": {"client": RIGHTS[role], "matter": RIGHTS[role], "tag": RIGHTS[role]},
       "fields": {f"{object}.{name}": [] for object, names in hidden.items() for name in names}}
      for role, hidden in HIDDEN.items()),
    {"kind": "role", "name": "partner", "label": "Partner",
     "objects": {"*": [*ALL, "view_all", "modify_all", "export"]}},
]  # fmt: skip

Values = dict[str, Any]


def values_of(object: str, at: int, secret: str) -> Values:
    """What the fields of a record hold, each in a way that the other secret would change."""
    n = SECRETS.index(secret) * 3 + at * 10
    if object == "client":
        level = ("high", "low")[(SECRETS.index(secret) + at) % 2]
        return {"firmname": f"Firm {secret} {at}", "grade": 1000 + n, "taxno": f"T{secret}{at}",
                "phone": f"+86138{n:08}", "wallet": f"{700 + n}.25", "level": level}  # fmt: skip
    if object == "matter":
        day = 10 + at % 9 + SECRETS.index(secret) * 9
        return {"heading": f"Case {secret} {at}", "worth": 5000 + n, "sortof": ("low", "high")[(n + at) % 2],
                "due": f"2026-11-{day}", "remarks": f"Note {secret}{at}"}  # fmt: skip
    return {"tagword": f"Tag {secret} {at}", "weight": 40 + n}


def hides(role: str, object: str, name: str) -> bool:
    return name in HIDDEN[role].get(object, ())


@dataclass
class Firm:
    """One firm on one database, as it is for one of its people, and what is asked of it."""

    ids: dict[str, str]
    environment: Environment
    app: Any
    sessions: dict[str, str]
    tokens: dict[str, str]


class Counter:
    """Ids and tokens that count up: the same in both firms."""

    def __init__(self, first: int) -> None:
        self.numbers = itertools.count(first)

    def world(self) -> World:
        return World(
            clock=lambda: datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
            new_id=lambda: f"01900000-0000-7000-8000-{next(self.numbers):012x}",
            token=lambda: f"token-{next(self.numbers)}",
        )


FRESH = 0x100000
"""Ids from here on were given during the questions; below are those of the records that were there."""


class Filling:
    """Fills a firm. ``victim`` is the role of whom nothing hidden may reach; ``secret`` is what is hidden from them."""

    def __init__(self, environment: Environment, victim: str, secret: str) -> None:
        self.environment, self.victim, self.secret = environment, victim, secret
        self.ids: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    def of(self, object: str, at: int, owner: str) -> Values:
        """The values of a record: hidden ones with the secret, those that the victim may read the same in both."""
        theirs = PEOPLE[owner] == self.victim or object == "tag"
        hidden, plain = values_of(object, at, self.secret), values_of(object, at, SECRETS[0])
        return {k: hidden[k] if not theirs or hides(self.victim, object, k) else plain[k] for k in hidden}

    def run(self) -> None:
        world = self.environment.world
        accounts = Accounts(world)
        ids = self.ids
        with self.environment.write(SYSTEM) as records:
            for name, role in PEOPLE.items():
                ids[name] = accounts.create_user(records, name=name.title(), email=f"{name}@x.cn", roles=[role])
            ids["ada"] = accounts.create_user(records, name="Ada", email="ada@x.cn", admin=True)
            for name in (*PEOPLE, "ada"):
                self.sessions[name] = accounts.start_session(records.connection, ids[name])
                self.tokens[name], _ = accounts.create_token(records.connection, ids[name], label="test")
            make = partial(self.make, records)
            ids["vault"] = make("vault", boxcode=f"Vault {self.secret}")
            for at in range(2):
                ids[f"tag{at}"] = make("tag", **self.of("tag", at, "pia"))
            for at, owner in enumerate(PEOPLE):
                tags = [{"id": ids["tag0"], "since": "2026-01-02"}]
                if hides(self.victim, "client", "tags") and self.secret == SECRETS[1]:
                    tags = [{"id": ids["tag1"], "since": "2026-03-04"}]
                client = make("client", owner=ids[owner], tags=tags, **self.of("client", at, owner))
                ids[f"client_{owner}"] = client
            for at, owner in enumerate(PEOPLE):
                more: Values = {"forwhom": ids[f"client_{owner}"], "crate": ids["vault"], "topic": ids["tag0"],
                                "topic_object": "tag"}  # fmt: skip
                other = self.secret == SECRETS[1]
                if other and (hides(self.victim, "matter", "forwhom")):
                    more["forwhom"] = ids["client_pia"]
                if other and hides(self.victim, "matter", "topic"):
                    more.update(topic=ids["client_pia"], topic_object="client", crate=None)
                ids[f"matter_{owner}"] = make("matter", owner=ids[owner], **more, **self.of("matter", at, owner))
            for object in ("client", "matter"):
                for at, owner in enumerate(PEOPLE):
                    changed = self.of(object, at + 5, owner)
                    records.update(object, [Change(ids[f"{object}_{owner}"], changed)], acknowledge=True)
            for owner in PEOPLE:
                seen = PEOPLE[owner] == self.victim and not hides(self.victim, "matter", "phase")
                phase = "done" if seen or self.secret == SECRETS[0] else "lost"
                records.update("matter", [Change(ids[f"matter_{owner}"], {"phase": phase})])
            self._files(records)
            ids["matter_gone"] = make("matter", owner=ids["pia"], **self.of("matter", 30, "pia"))
            records.delete("matter", [ids["matter_gone"]])
            Ownership(records).share("matter", ids["matter_pia"], "role:partner", "read", reason=self.secret)
            for owner in PEOPLE:
                ways = {"approval": Way(bell=True, mail="now"), "assignment": Way(bell=True, mail="daily")}
                choose(records.connection, ids[owner], ways)
        for at, owner in enumerate(PEOPLE):
            self._told(at, owner)
        with self.environment.write(SYSTEM) as records:
            for n in range(2 if self.secret == SECRETS[1] else 0):
                extra = self.make(records, "client", owner=ids["pia"], **self.of("client", 20 + n, "pia"))
                self.make(records, "matter", owner=ids["pia"], forwhom=extra, **self.of("matter", 20 + n, "pia"))

    def make(self, records: Any, object: str, **values: Any) -> str:
        return str(records.create(object, [values], acknowledge=True)[0]["id"])

    def _files(self, records: Any) -> None:
        world = self.environment.world
        folder = self.environment.settings.files_path
        folder.mkdir(parents=True, exist_ok=True)
        for owner in PEOPLE:
            id = self.ids[f"file_{owner}"] = world.new_id()
            theirs = PEOPLE[owner] == self.victim and not hides(self.victim, "matter", "paper")
            name = SECRETS[0] if theirs else self.secret
            (folder / id).write_text(name)
            os.utime(folder / id, (1, 1))
            file = File(id, f"{name}.txt", "text/plain", len(name), "0" * 64, world.clock(), None)
            add_file(records.connection, file)
            attach_files(records.connection, [id], "matter", self.ids[f"matter_{owner}"])
            records.update("matter", [Change(self.ids[f"matter_{owner}"], {"paper": id})], acknowledge=True)

    def _told(self, at: int, owner: str) -> None:
        """Somebody is asked for an approval and is given a record."""
        record = self.ids[f"matter_{owner}"]
        mine = PEOPLE[owner] == self.victim

        def work(records: Any) -> str:
            comment = "Please" if mine else self.secret
            found = approvals_of(records).submit("matter", record, comment=comment)
            given = self.make(records, "matter", forwhom=self.ids["client_pia"], **self.of("matter", at + 40, owner))
            records.update("matter", [Change(given, {"owner": self.ids[owner]})], acknowledge=True)
            return str(found["id"])

        with self.environment.database.read() as connection:
            pia = Accounts(self.environment.world).actor_for_user(connection, self.ids["pia"])
        assert pia is not None
        self.ids[f"approval_{owner}"] = self.environment.transact(pia, work)


@dataclass(frozen=True)
class Ask:
    """One request."""

    path: str
    method: str = "GET"
    json: Any = None
    form: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    def naming(self, name: str, instead: str) -> Ask:
        """The same question about another name."""
        return Ask(*(json.loads(re.sub(rf"\b{name}\b", instead, json.dumps(each)))
                     for each in (self.path, self.method, self.json, self.form)), self.headers)  # fmt: skip


def api(path: str, method: str = "GET", json: Any = None, **headers: str) -> Ask:
    return Ask(f"/api/v1{path}", method, json, None, tuple((k.replace("_", "-"), v) for k, v in headers.items()))


def page(path: str, form: Any = None, **headers: str) -> Ask:
    return Ask(path, "GET" if form is None else "POST", None, form, tuple(headers.items()))


def about_fields(object: str, names: tuple[str, ...], own: str, guess: Values) -> Iterator[tuple[str, Ask]]:
    """Every way to name a field, with the value that it has in the first firm where a value can be given."""
    here, screen, title = f"/records/{object}", f"/o/{object}", TITLES[object]
    for name in names:
        value = guess.get(name, "1")
        literal = value if isinstance(value, int) else f'"{value}"'
        for query in (f"fields={name}", f"filter=NOT(ISBLANK({name}))", f"filter={name} = {literal}", f"sort={name}",
                      f"sort=-{name}", f"expand={name}", f"filter={name}.id != null"):  # fmt: skip
            yield name, api(f"{here}?{query}")
        for query in (
            f"group_by={name}",
            f"measures=max:{name}",
            f"measures=count:{name}",
            f"filter={name} = {literal}",
        ):
            yield name, api(f"{here}/aggregate?{query}")
        yield name, api(f"{here}/export?fields={name}")
        yield name, api(f"{here}/export?sort={name}")
        yield name, api(f"{here}/{own}/explain/{name}")
        yield name, api(f"{here}/{own}?fields={name}")
        yield name, api(f"{here}/{own}?expand={name}")
        yield name, api(f"/objects/{object}/lookups/{name}", "POST", {"text": "a"})
        yield name, api(f"{here}/{name}/{value}", "PUT", {title: "x"})
        yield name, api(f"{here}/{name}", "PUT", [{name: value, title: "x"}])
        for given in (value, None, "other"):
            yield name, api(f"{here}/{own}", "PATCH", {name: given})
            yield name, api(here, "PATCH", [{"id": own, name: given}])
        yield name, api(here, "POST", {title: "x", name: value})
        yield name, api(here, "POST", [{title: "x", name: value}])
        yield name, page(f"{screen}?sort={name}")
        yield name, page(f"{screen}?where={name}:filled:")
        yield name, page(f"{screen}?where={name}:eq:{value}")
        yield name, page(f"{screen}?filter=NOT(ISBLANK({name}))")
        yield name, page(f"{screen}/condition?key={name}")
        yield name, page(f"{screen}/export?sort={name}")
        yield name, page(f"{screen}/{own}/why/{name}")
        yield name, page(f"{screen}/lookup/{name}", {f"{name}__text": "a"})
        yield name, page(f"{screen}/{own}/card", {"key": name, "to": value})
        yield name, page(f"{screen}/new?{name}={value}")
        yield name, page(f"{screen}/form-state?id={own}", {name: value, "__changed": name})
        yield name, page(f"{screen}/{own}/edit", {name: value})
        yield name, page(f"{screen}/new", {name: value})
        yield name, page(f"{screen}/import", {"do": "check", "file": f"{title},{name}\nx,{value}\n"})


def through_fields(object: str, name: str) -> Iterator[Ask]:
    """A field of one object named from another."""
    if object == "client":
        yield api(f"/records/matter?filter=NOT(ISBLANK(forwhom.{name}))")
        yield api(f"/records/matter/aggregate?filter=forwhom.{name} = 1")
        yield page(f"/o/matter?filter=NOT(ISBLANK(forwhom.{name}))")
        yield api("/records/matter", "POST", [{"heading": "x", f"forwhom.{name}": "1"}])
    if object == "matter":
        yield api(f"/records/client?filter=COUNT(matters.{name}) > 0")
        yield api(f"/records/client?filter=SUM(matters.{name}) > 0")


def about_record(object: str, id: str, mine: bool) -> Iterator[Ask]:
    """Every way to ask about one record; what changes it last."""
    here, screen, title = f"/records/{object}/{id}", f"/o/{object}/{id}", TITLES[object]
    for tail in ("", "/history", "/stages", "/tasks", "/shares", "/approvals", "/person", "/person/erasure"):
        yield api(f"{here}{tail}")
    yield api(f"{here}?expand={','.join(f['name'] for f in FIELDS[object] if f['type'] in ('lookup', 'polymorphic'))}")
    yield api(f"/access/explain?user=cleo@x.cn&object={object}&record={id}")
    yield api(f"/automations/why?object={object}&record={id}")
    call = {"object": object, "record": id, "automation": "look_again"}
    yield api("/automations/try", "POST", call)
    yield api("/automations/press", "POST", call)
    yield api("/templates/preview", "POST", {"template": "told_approval", "record": id, "locale": "en"})
    for tail in ("", "/edit", "/delete", "/owner", "/person", "/automations"):
        yield page(f"{screen}{tail}")
    yield page(f"{screen}/automations/look_again/press", {})
    yield page(f"{screen}/automations/look_again/try", {})
    yield page(f"/access/explain?user=cleo@x.cn&object={object}&record={id}")
    yield page(f"/o/{object}/form-state?id={id}", {title: "x"})
    yield api(here, "PATCH", {}, If_Match='"1"')
    yield api(here, "PATCH", {"version": 1})
    yield api(here, "DELETE", If_Match='"1"')
    yield page(f"{screen}/edit", {title: "x", "__version": "1"})
    yield page(f"{screen}/delete", {"version": "1"})
    yield api(f"{here}/tasks", "POST", {"task": "conflicts", "done": True})
    yield page(f"{screen}/task", {"task": "conflicts", "done": "1"})
    yield page(f"{screen}/stage", {"stage": "done"})
    yield page(f"{screen}/card", {"key": "sortof", "to": "low"})
    yield page(f"{screen}/submit", {})
    yield page(f"{screen}/person", {})
    yield api(f"{here}/person/erasure", "POST", {"fingerprint": "x"})
    yield api("/approvals", "POST", {"object": object, "record": id})
    yield api(f"{here}/shares", "POST", {"grantee": "role:clerk", "access": "read"})
    yield api(f"{here}/shares/{NOBODY}", "DELETE")
    yield api(here, "PATCH", {title: "Changed"})
    yield api(f"{here}/restore", "POST")
    yield page(f"{screen}/restore", {})
    if not mine:
        yield api(f"{here}/transfer", "POST", {"owner": NOBODY})
        yield page(f"{screen}/owner", {"do": "transfer", "owner": NOBODY})
        yield api("/records/matter", "POST", {"heading": "x", "forwhom": id})
        yield api("/objects/matter/lookups/forwhom", "POST", {"text": "", "record": {"forwhom": id}})
        yield page(f"/o/matter/new?forwhom={id}")
        yield page("/o/matter/new", {"heading": "x", "forwhom": id, "forwhom__text": "t", "forwhom__shown": "t"})
        yield page("/o/matter/form-state", {"heading": "x", "forwhom": id, "__changed": "forwhom"})


def about_object(object: str, secret_values: Values) -> Iterator[Ask]:
    """Lists, figures, descriptions; and guesses of what hidden records are called."""
    here, title = f"/records/{object}", TITLES[object]
    name = secret_values.get(title, "Vault Nightingale")
    for query in ("", "?count=true", "?limit=1", "?deleted=true", "?limit=1&count=true&sort=-modified_at"):
        yield api(f"{here}{query}")
    yield api(f"{here}/aggregate")
    yield api(f"{here}/export")
    yield api(f"/objects/{object}")
    yield api(f"/docs/{object}")
    yield page(f"/o/{object}")
    yield page(f"/o/{object}/trash")
    yield page(f"/o/{object}/export")
    yield page(f"/o/{object}/new")
    yield page(f"/o/{object}/import")
    yield page(f"/o/{object}/import?template=1")
    yield page(f"/o/{object}/import", {"do": "check", "file": f"{title}\n{name}\n"})
    yield api(here, "POST", {title: name})
    yield page(f"/o/{object}/new", {title: name})
    yield api(f"/search?q={name}&objects={object}")
    yield api(f"/search?q={name.split()[-1]}&limit=1")
    yield page(f"/search?q={name}")
    if object == "matter":
        for view in ("all", "by_stage", "by_kind", "month"):
            yield api(f"{here}?view={view}&count=true")
            yield page(f"/o/matter?view={view}")
            yield page(f"/o/matter/export?view={view}")
        for text in ("", name.split()[1], "Firm"):
            yield api("/objects/matter/lookups/forwhom", "POST", {"text": text})
            yield page("/o/matter/lookup/forwhom", {"forwhom__text": text})
            yield page("/o/matter/import", {"do": "check", "file": f"heading,forwhom\nx,Firm {text} 8\n"})
            yield page("/o/matter/new", {"heading": "x", "forwhom": "", "forwhom__text": f"Firm {text}"})


def about_all(ids: dict[str, str]) -> Iterator[Ask]:
    """What is about no object."""
    for path in ("/", "/me", "/me/sessions", "/me/tokens", "/objects", "/openapi.json", "/docs", "/formulas/functions",
                 "/approvals", "/delegations", "/notifications", "/notifications/choices", "/runs", "/runs/undelivered",
                 "/automations", "/automations/versions?automation=matter.look_again", "/access/audit", "/audit",
                 f"/access/users/{ids['cleo']}", "/metadata/edits", "/metadata/export", "/metadata/history",
                 "/metadata/settings", "/metadata/rules/matter", f"/runs/{NOBODY}", "/nowhere"):  # fmt: skip
        yield api(path)
    for path in ("/", "/access", "/access/audit", "/access/audit/export", "/access/matrix", "/access/role",
                 "/access/sharing", "/access/users", "/account", "/account/notifications", "/approvals",
                 "/formulas", "/notifications", "/setup/automations", "/setup/automations/matter/look_again",
                 "/setup/runs", f"/setup/runs/{NOBODY}", "/setup/templates",
                 "/setup/templates/ratoon_digest", "/setup/undelivered"):  # fmt: skip
        yield page(path)
    for owner in PEOPLE:
        yield page(f"/files/{ids[f'file_{owner}']}")
    for owner in PEOPLE:
        if f"approval_{owner}" in ids:
            id = ids[f"approval_{owner}"]
            yield api(f"/approvals/{id}")
            yield api(f"/approvals/{id}/recall", "POST", {})
            yield api(f"/approvals/{id}/delegation", "POST", {"to": NOBODY})
            yield api(f"/approvals/{id}/decision", "POST", {"approve": False, "comment": "no"})
            yield page(f"/approvals/{id}/answer", {"what": "approve"})
    yield api("/delegations", "POST", {"delegate": NOBODY})
    yield api(f"/delegations/{NOBODY}", "DELETE")
    yield page("/approvals/standing-in", {"delegate": NOBODY})
    yield page(f"/approvals/standing-in/{NOBODY}/end", {})
    package = {"files": {}}
    for what in ("check", "lint", "plan", "apply", "drift", "test"):
        yield api(f"/metadata/{what}", "POST", package)
    yield api("/metadata/purge", "POST", {})
    yield api("/metadata/rollback", "POST", {"revision": 1, "plan_only": True})
    yield api("/metadata/uninstall", "POST", {"package": "firm", "plan_only": True})
    yield api("/metadata/settings", "PUT", {"package": "firm", "values": {}})
    yield api("/runs/retry", "POST", {"rule": None})
    for what in ("retry", "cancel"):
        yield api(f"/runs/{NOBODY}/{what}", "POST", {})
        yield page(f"/setup/runs/{NOBODY}/{what}", {})
    yield page("/setup/runs/retry", {})
    yield page("/setup/automations/matter/look_again/status", {"status": "off"})
    yield api("/automations/status", "POST", {"automation": "matter.look_again", "status": "off"})
    yield api("/inbound/matter.look_again", "POST", {"heading": "x"})
    yield api(f"/access/users/{ids['rita']}", "PUT", {"roles": ["partner"], "permission_sets": []})
    yield page("/account", {"do": "nothing"})
    yield page("/account/notifications", {"approval_mail": "never"})
    for method in ("DELETE", "PATCH", "POST", "PUT", "TRACE"):
        yield api("/nowhere", method)
    for path in ("/access/default", "/access/matrix", "/access/role", "/access/sharing", "/access/users"):
        yield page(path, {"name": "clerk"})
    yield api("/notifications/choices", "PATCH", {"approval": {"bell": True, "mail": "never"}})
    yield api("/notifications/read", "POST", {})
    yield page("/notifications/read", {})


Prepared = Callable[[str, str, Callable[[str], None]], str]


def plugins() -> Plugins:
    """Only the screens."""
    made = Plugins()
    made.add(screens, "screens")
    return made


class Asking:
    """Asks a firm as somebody, and writes down what the answers say."""

    def __init__(self, firm: Firm, who: str) -> None:
        self.firm = firm
        self.who = who
        self.fresh: dict[str, str] = {}
        self.client = firm.app.test_client()
        with self.client.session_transaction() as session:
            session["_user_id"] = firm.sessions[who]
        self.bearer = {"Authorization": f"Bearer {firm.tokens[who]}"}
        self.programs = firm.app.test_client(use_cookies=False)

    def __call__(self, ask: Ask) -> str:
        if ask.path.startswith("/api/"):
            headers = {**self.bearer, **dict(ask.headers)}
            answer = self.programs.open(ask.path, method=ask.method, json=ask.json, headers=headers)
        else:
            form = ask.form
            if form and "file" in form:
                form = {**form, "file": (io.BytesIO(form["file"].encode()), "x.csv")}
            answer = self.client.open(ask.path, method=ask.method, data=form, headers=dict(ask.headers))
            if ask.path.startswith("/files/"):
                answer.headers.pop("ETag", None)  # made from where the file lies
        assert answer.status_code < 500, (self.who, ask, answer.text)
        told = [answer.status, answer.headers.get("ETag", ""), answer.headers.get("Location", ""), answer.text]
        return self.plain("\n".join(told))

    def plain(self, text: str) -> str:
        """Without what is new in every answer: form tokens, and ids given meanwhile."""
        text = re.sub(r'(csrf[-_]token"[^>]*?(?:value|content)=")[^"]+', r"\1", text, flags=re.IGNORECASE)
        text = re.sub(r"(;|(?<=\.)) [Dd]id you mean \w+\?", "", text)  # a near name of those that may be read
        text = re.sub(r"""(X-CSRFToken[^:]*:[^\w]*)[\w.-]+""", r"\1", text)

        def named(found: re.Match[str]) -> str:
            return (
                self.fresh.setdefault(found[0], f"fresh {len(self.fresh)}") if int(found[1], 16) >= FRESH else found[0]
            )

        return re.sub(r"01900000-0000-7000-8000-([0-9a-e][0-9a-f]{11})", named, text)


@pytest.fixture
def firms(backend: str, databases: Any, prepared: Prepared, tmp_path: Path) -> Iterator[Callable[[str, str], Firm]]:
    """``firms(victim, secret)``: a firm as far as it is of use for that role."""
    opened: list[Environment] = []

    def settings(url: str, name: str) -> Settings:
        return Settings(database_url=url, files_dir=str(tmp_path / name), secret_key="for tests only", limit_api="",
                        revision_poll_seconds=0.0)  # fmt: skip

    def install(url: str) -> None:
        environment = open_environment(settings(url, "empty"), Counter(1).world(), plugins())
        source: Any = {place(str(d["kind"]), d): canonical(d).encode() for d in DOCUMENTS}
        apply_package(Target.of(environment), source, message="test")
        environment.close()

    def make(victim: str, secret: str) -> Firm:
        url = databases.copy(prepared(backend, "doors", install))
        counter = Counter(0x1000)
        environment = open_environment(settings(url, f"{victim} {secret}"), counter.world(), plugins())
        opened.append(environment)
        filling = Filling(environment, victim, secret)
        filling.run()
        counter.numbers = itertools.count(FRESH)
        app = create_app(environment, plugins())
        app.config.update(WTF_CSRF_METHODS=set())
        return Firm(filling.ids, environment, app, filling.sessions, filling.tokens)

    yield make
    for environment in opened:
        environment.close()


def questions(role: str, who: str, ids: dict[str, str]) -> Iterator[Ask]:
    """Everything that is asked, in an order in which what changes records comes late."""
    for object in FIELDS:
        guess = values_of(object, 5 + 3, SECRETS[0]) if object != "vault" else {}
        yield from about_object(object, guess)
        for name in HIDDEN[role].get(object, ()):
            yield from through_fields(object, name)
    yield from about_all(ids)
    yield from about_record("vault", ids["vault"], mine=False)
    for object in ("client", "matter"):
        yield from about_record(object, ids[f"{object}_pia"], mine=False)
        yield from about_record(object, ids[f"{object}_{who}"], mine=True)


APART = {
    "api.static": "files of the product, the same for everybody",
    "screens.static": "files of the product, the same for everybody",
    "schema": "the language of documents, the same for everybody",
    "screens.language": "keeps a language in the cookie",
    "screens.sign_in": "before anybody is known: tests/ui/doors",
    "screens.forgot": "before anybody is known: tests/ui/doors/test_choosing.py",
    "screens.password_link": "before anybody is known: tests/ui/doors/test_choosing.py",
    "screens.new_password": "before anybody is known: tests/ui/doors/test_choosing.py",
    "screens.provider": "before anybody is known: tests/ui/doors/test_provider.py",
    "screens.provider_back": "before anybody is known: tests/ui/doors/test_provider.py",
    "screens.provider_sign_out": "ends the session: tests/ui/doors/test_provider.py",
    "screens.link_identity": "sends on to the provider: tests/ui/doors/test_provider.py",
    "screens.sign_out": "ends the session",
    "screens.approval_link": "its secret says whose rights count; it shows what api.approval does",
    "screens.stop_mails": "its secret says whose choices change; it reads no record: tests/ui/test_notifications.py",
    "api.make_my_token": "what a token may do: tests/platform/api/test_access.py",
    "api.revoke_my_token": "the caller's own tokens: tests/platform/api/test_access.py",
    "api.end_my_session": "the caller's own sessions: tests/platform/api/test_access.py",
}
"""Addresses that are not asked, and why."""
ALIKE = {
    "about metadata, roles, settings and runs of the platform, which are the same in both": """
        api.access_explain GET, api.access_grant PUT, api.access_user GET, api.automations GET,
        api.automations_status POST, api.automations_versions GET, api.describe GET, api.docs GET, api.docs_of GET,
        api.functions GET, api.inbound POST, api.index GET, api.metadata_apply POST, api.metadata_check POST,
        api.metadata_drift POST, api.metadata_edits GET, api.metadata_export GET, api.metadata_history GET,
        api.metadata_keep_settings PUT, api.metadata_lint POST, api.metadata_plan POST, api.metadata_purge POST,
        api.metadata_rules GET, api.metadata_settings GET, api.metadata_test POST, api.nowhere DELETE, api.nowhere GET,
        api.nowhere PATCH, api.nowhere POST, api.nowhere PUT, api.nowhere TRACE, api.objects GET, api.openapi GET,
        api.run GET, api.run_cancel POST, api.run_retry POST, api.runs GET, api.runs_retry POST,
        api.runs_undelivered GET, screens.access GET, screens.access_default POST, screens.access_explain GET,
        screens.access_matrix GET, screens.access_matrix POST, screens.access_role GET, screens.access_role POST,
        screens.access_sharing GET, screens.access_sharing POST, screens.access_users GET, screens.access_users POST,
        screens.automation_status POST, screens.automations GET, screens.condition GET, screens.formulas GET,
        screens.message_template GET, screens.message_templates GET, screens.retry_failed POST, screens.run GET,
        screens.run_steer POST, screens.undelivered GET""",
    "the administrator's own, who is asked and told nothing": """
        api.approvals GET, api.delegate POST, api.delegations GET, api.end_delegation DELETE, api.me GET,
        api.my_sessions GET, api.my_tokens GET, api.notification_choices GET, api.notification_choose PATCH,
        api.notifications GET, api.notifications_read POST, screens.account GET, screens.account POST,
        screens.approvals GET, screens.end_standing_in POST, screens.notification_choices GET,
        screens.notification_choices POST, screens.notifications GET, screens.notifications_read POST,
        screens.stand_in POST""",
    "says where to go on, what was sent, or that it cannot be": """
        api.automations_press POST, api.decide POST, api.erase_person POST, api.hand_over POST, api.submit POST,
        api.tasks GET, api.tick POST, api.transfer POST, api.unshare DELETE, api.upsert PUT, api.upsert_many PUT,
        screens.answer_approval POST,
        screens.card POST, screens.import GET,
        screens.import POST, screens.move POST, screens.owner POST, screens.press POST, screens.restore POST,
        screens.submit_approval POST, screens.task POST""",
}
"""Addresses at which not even an administrator is told of the difference between the firms, and why."""


def endpoint(app: Any, ask: Ask) -> str:
    """What answers the question: name and method."""
    name, _ = app.url_map.bind("localhost").match(ask.path.partition("?")[0], ask.method)
    return f"{name} {ask.method}"


def words_of(role: str) -> list[str]:
    """What only the metadata of hidden fields says: labels, choices, stages, tasks, a closed object."""
    found = ["Vaults", "«Boxcode»"]
    for names in HIDDEN[role].values():
        found += [f"«{name.title()}»" for name in names]
        found += [f"{name} high!" for name in names if name in ("level", "sortof")]
        found += ["new stage!", "done stage!", "lost stage!", "conflicts task!"] if "phase" in names else []
    return found


@pytest.mark.parametrize("who", ["cleo", "rita", "aldo"])
def test_what_is_hidden_changes_no_answer(firms: Any, who: str) -> None:
    role = PEOPLE[who]
    one, other = (Asking(firms(role, secret), who) for secret in SECRETS)
    assert one.firm.ids == other.firm.ids
    elsewhere, words, wrong = Asking(one.firm, who), words_of(role), []
    closed = [one.firm.ids[name] for name in ("client_pia", "matter_pia", "vault")]
    for ask in questions(role, who, one.firm.ids):
        answers = one(ask), other(ask)
        if answers[0] != answers[1]:
            wrong.append((ask, difference(*answers)))
        wrong += [(ask, word) for word in words if word in answers[0]]
        if "vault" in ask.path and answers[0].replace("vault", "vuult") != elsewhere(ask.naming("vault", "vuult")):
            wrong.append((ask, "tells of a closed object"))
        for id in closed:
            if id in json.dumps([ask.path, ask.json, ask.form]):
                told, nothing = answers[0].replace(id, NOBODY), elsewhere(ask.naming(id, NOBODY))
                if told != nothing:
                    wrong.append((ask, "is told of: " + difference(told, nothing)))
    assert not wrong, f"{len(wrong)}: " + "\n".join(map(str, wrong[:20]))


def test_every_address_is_asked_and_tells_an_administrator_of_the_difference(firms: Any) -> None:
    one, other = (Asking(firms("clerk", secret), "ada") for secret in SECRETS)
    asked, told = set(), set()
    fields = about_fields("client", ("taxno", "twice", "level"), one.firm.ids["client_pia"], {"level": "high"})
    for ask in (*(ask for _, ask in fields), *questions("clerk", "cleo", one.firm.ids)):
        asked.add(endpoint(one.firm.app, ask))
        if one(ask) != other(ask):
            told.add(endpoint(one.firm.app, ask))
    there = {f"{rule.endpoint} {method}" for rule in one.firm.app.url_map.iter_rules()
             for method in rule.methods - {"HEAD", "OPTIONS"}}  # fmt: skip
    assert {name for name in there - asked if name.split()[0] not in APART} == set(), "ask them, or say why not"
    alike = {name.strip() for names in ALIKE.values() for name in names.split(",")}
    assert asked - told <= alike, "an address that tells an administrator no difference proves nothing"


def difference(one: str, other: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"{one[max(0, at - 150) : at + 90]!r} / {other[max(0, at - 20) : at + 90]!r}"


@pytest.mark.parametrize("who", ["cleo", "rita", "aldo"])
def test_a_hidden_field_is_answered_like_a_name_that_no_field_has(firms: Any, who: str) -> None:
    role = PEOPLE[who]
    one = firms(role, SECRETS[0])
    asking, about_nothing = Asking(one, who), Asking(one, who)
    wrong = []
    for object in ("client", "matter", "tag"):
        own = one.ids["tag0" if object == "tag" else f"{object}_{who}"]
        guess = values_of(object, 0 if object == "tag" else list(PEOPLE).index(who) + 5, SECRETS[0])
        for name, ask in about_fields(object, HIDDEN[role][object], own, guess):
            unknown = (UNKNOWN * len(name))[: len(name)]
            told = re.sub(rf"\b{name}\b", unknown, asking(ask))
            wanted = about_nothing(ask.naming(name, unknown))
            if told != wanted:
                wrong.append((ask, difference(told, wanted)))
    assert not wrong, f"{len(wrong)}: " + "\n".join(map(str, wrong))
