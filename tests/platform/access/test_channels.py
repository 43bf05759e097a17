"""Side doors that the matrix does not walk through: screens, approvals, notifications, imports, tasks, error texts.

One firm: ``clerk`` may not read what a case is worth, what it is called or which stage it is in, and sees only the
clients that are open. Each test goes in by one door and looks for what the clerk must not learn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.api.objects import described
from ratoon.platform.app import create_app
from ratoon.platform.automation.approvals import Approvals, approvals_of
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError, ValidationFailed
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, place
from ratoon.platform.plugins import load_plugins
from ratoon.platform.records.by_key import resolved
from ratoon.platform.records.drafts import Change
from ratoon.platform.storage.files import File, add_file, attach_files
from ratoon.platform.storage.notifications import of_user

PASSWORD = "correct horse battery"
NOBODY = "01900000-0000-7000-8000-fffffffffffe"
SECRET = "Operation Nightingale"
ALL = ["create", "read", "edit", "delete"]


def field(name: str, kind: str = "text", **options: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "label": name.title(), **options}


FIRM: list[dict[str, Any]] = [
    {"kind": "package", "name": "firm", "version": "1.0.0", "label": "Firm"},
    {
        "kind": "object", "name": "client", "label": "Client", "plural_label": "Clients", "title": "name",
        "default_access": "private",
        "fields": [field("name", required=True), field("code", external_id=True), field("tax_number", external_id=True),
                   field("worth", "integer")],
    },
    {
        "kind": "object", "name": "matter", "label": "Matter", "plural_label": "Matters", "title": "name",
        "fields": [
            field("name", required=True), field("client", "lookup", object="client"), field("worth", "integer"),
            field("note"), field("due", "date"), field("stage", "stage"), field("paper", "file"),
            field("rich", "text", visible_when="client.worth > 5"),
            field("kind", "picklist", values=[{"value": "court", "label": "Court"}]),
        ],
    },
    {
        "kind": "pipeline", "object": "matter", "name": "work", "label": "Work",
        "stages": [
            {"name": "new", "label": "New", "category": "open", "next": ["done"],
             "required_fields": ["worth"], "advance": [{"when": "worth > 777000", "to": "done"}],
             "checklist": [{"name": "conflict_check", "label": "Conflict check"}]},
            {"name": "done", "label": "Done", "category": "won"},
        ],
    },
    {"kind": "view", "object": "matter", "name": "by_kind", "label": "By kind", "type": "board", "group_by": "kind",
     "columns": ["note", "worth"], "filter": "worth > 1"},
    {"kind": "view", "object": "matter", "name": "by_stage", "label": "By stage", "type": "board", "group_by": "stage",
     "columns": ["note"]},
    {"kind": "view", "object": "matter", "name": "month", "label": "Month", "type": "calendar", "date_field": "due",
     "columns": ["note"]},
    {"kind": "approval", "object": "matter", "name": "opening", "label": "Opening",
     "steps": [{"name": "look", "label": "Look", "approvers": [{"role": "clerk"}]}]},
    {"kind": "role", "name": "clerk", "label": "Clerk",
     "objects": {"client": ["create", "read", "edit"], "matter": ALL},
     "fields": {"client.tax_number": [], "client.worth": [], "matter.worth": [], "matter.name": [],
                "matter.stage": []}},
    {"kind": "role", "name": "outsider", "label": "Outsider", "objects": {"client": ["read"]}, "fields": {}},
    {"kind": "role", "name": "partner", "label": "Partner", "objects": {"*": ALL}},
]  # fmt: skip


class Firm:
    """The firm, with a client and a matter that belong to a partner."""

    def __init__(self, world: Environment, password: str | None = None) -> None:
        self.world = world
        accounts = Accounts(world.world)
        with world.write(SYSTEM) as records:
            ids = {}
            for name, role in (("cleo", "clerk"), ("otto", "outsider"), ("pia", "partner")):
                (made,) = records.create("user", [{"name": name, "email": f"{name}@x.cn"}])
                ids[name] = str(made["id"])
                accounts.set_roles(records.connection, ids[name], [role])
            if password is not None:
                accounts.set_password(records.connection, ids["cleo"], password)
            hidden = {"name": "Hidden", "code": "H1", "worth": 9, "owner": ids["pia"]}
            open_ = {"name": "Open", "code": "O1", "worth": 9, "owner": ids["cleo"]}
            self.hidden, self.open = (r["id"] for r in records.create("client", [hidden, open_]))
            given = {"name": SECRET, "client": self.open, "worth": 424242, "note": "n", "kind": "court",
                     "due": world.world.clock().date().isoformat(), "owner": ids["pia"]}  # fmt: skip
            (matter,) = records.create("matter", [given])
        self.matter = str(matter["id"])
        self.people: dict[str, Actor] = {}
        with world.database.read() as connection:
            for name, id in ids.items():
                actor = accounts.actor_for_user(connection, id)
                assert actor is not None
                self.people[name] = actor

    def do(self, who: str, work: Any) -> Any:
        return self.world.transact(self.people[who], work)

    def refusal(self, who: str, work: Any) -> str:
        """Code and words of the refusal."""
        with pytest.raises(RatoonError) as error:
            self.do(who, work)
        return f"{type(error.value).__name__}: {error.value.text()}"


@pytest.fixture
def firm(open_world: Any) -> Firm:
    return Firm(open_world(FIRM))


def test_a_request_about_a_hidden_record_is_answered_like_one_that_is_not_there(firm: Firm) -> None:
    request = firm.do("pia", lambda r: approvals_of(r).submit("matter", firm.matter))["id"]
    doors: dict[str, Callable[[Approvals, str], Any]] = {
        "tell": lambda a, id: a.tell(id),
        "recall": lambda a, id: a.recall(id),
        "decide": lambda a, id: a.decide(id, approve=True),
        "delegate": lambda a, id: a.delegate(id, str(firm.people["otto"].id)),
    }
    for name, door in doors.items():
        told, nothing = (
            firm.refusal("otto", lambda r, door=door, id=id: door(approvals_of(r), id)) for id in (request, NOBODY)
        )
        assert told.replace(request, "") == nothing.replace(NOBODY, ""), name


def test_notifications_do_not_say_what_a_record_is_called_whose_title_is_hidden(firm: Firm) -> None:
    firm.do("pia", lambda r: approvals_of(r).submit("matter", firm.matter))
    firm.do("pia", lambda r: r.update("client", [Change(firm.hidden, {"owner": firm.people["cleo"].id})]))
    firm.world.transact(SYSTEM, lambda r: r.update("matter", [Change(firm.matter, {"owner": firm.people["cleo"].id})]))
    with firm.world.database.read() as connection:
        told = of_user(connection, str(firm.people["cleo"].id), 50)
    assert {n.kind for n in told} >= {"approval", "assignment"}
    assert not [n for n in told if SECRET in n.title + n.body]
    assert any("Hidden" in n.title for n in told), "the client's name is open to its new owner"


def test_a_hidden_stage_shows_neither_its_tasks_nor_its_criteria(firm: Firm) -> None:
    for task in ("conflict_check", "conflict_chek"):
        words = firm.refusal("cleo", lambda r, task=task: r.tick("matter", firm.matter, task))
        assert words.replace(task, "…") == "NotFound: The stage has no task …."
    clerk, engine = firm.people["cleo"], firm.world.engine
    told = described(engine.registry["matter"], engine, clerk, lambda text, package: text)
    assert "worth" not in str(told)
    assert "777" not in str(told)
    assert told["title"] == "id"
    partner = str(described(engine.registry["matter"], engine, firm.people["pia"], lambda text, package: text))
    assert "worth > 777000" in partner
    assert "'required_fields': ['worth']" in partner


def test_a_stage_that_is_open_names_no_hidden_field_in_its_criteria(firm: Firm) -> None:
    documents = [
        {**d, "fields": {"matter.worth": [], "client.worth": []}} if d.get("name") == "clerk" else d for d in FIRM
    ]
    written = [Document(place(d["kind"], d), d["kind"], d, "firm") for d in documents]
    environment = firm.world
    engine = environment.build(compile_registry(written, types=environment.types, functions=environment.functions))
    told = described(engine.registry["matter"], engine, firm.people["cleo"], lambda text, package: text)
    (pipeline,) = told["pipelines"]
    assert pipeline["stages"][0]["checklist"], "the stage itself is shown"
    assert "worth" not in str(told)


def test_imports_and_wrong_names_suggest_nothing_hidden(firm: Firm) -> None:
    words = firm.refusal("cleo", lambda r: resolved(r, "matter", [{"client.nr": "x"}]))
    assert "tax_number" not in words
    assert "client.code" in words
    hidden = firm.refusal("cleo", lambda r: resolved(r, "matter", [{"client.code": "H1"}]))
    missing = firm.refusal("cleo", lambda r: resolved(r, "matter", [{"client.code": "H2"}]))
    assert hidden.replace("H1", "") == missing.replace("H2", "")
    with pytest.raises(ValidationFailed) as error:
        firm.do("cleo", lambda r: r.create("client", [{"name": "x", "tax_numbr": "1"}]))
    assert "tax_number" not in error.value.problems[0].text()
    assert "matter" not in firm.refusal("otto", lambda r: r.get("mattr", NOBODY)).replace("mattr", "")


def test_an_update_by_key_answers_a_hidden_record_like_a_used_value(firm: Firm) -> None:
    with pytest.raises(ValidationFailed) as by_key:
        firm.do("cleo", lambda r: r.upsert("client", "code", [{"code": "H1", "name": "Mine"}]))
    with pytest.raises(ValidationFailed) as by_hand:
        firm.do("cleo", lambda r: r.create("client", [{"code": "H1", "name": "Mine"}]))
    assert [p.text() for p in by_key.value.problems] == [p.text() for p in by_hand.value.problems]
    assert firm.hidden not in str(by_hand.value.problems)


@pytest.fixture
def browser(open_world: Any) -> tuple[Firm, Any]:
    """The firm with its screens, and the clerk signed in."""
    plugins = load_plugins()
    world = open_world(FIRM, plugins=plugins, secret_key="for tests only", limit_sign_in="")
    firm = Firm(world, PASSWORD)
    app = create_app(world, plugins)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    client = app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)
    assert token is not None
    client.post("/sign-in", data={"csrf_token": token[1], "email": "cleo@x.cn", "password": PASSWORD})
    return firm, client


def test_screens_work_for_who_may_not_read_titles_and_show_nothing_hidden(browser: tuple[Firm, Any]) -> None:
    firm, client = browser
    pages = {
        "list": "/o/matter",
        "board by a filter over a hidden field": "/o/matter?view=by_kind",
        "board by a hidden stage": "/o/matter?view=by_stage",
        "calendar": "/o/matter?view=month",
        "recycle bin": "/o/matter/trash",
        "record": f"/o/matter/{firm.matter}",
        "related list": f"/o/client/{firm.open}",
        "edit": f"/o/matter/{firm.matter}/edit",
        "search": "/search?q=Nightingale",
        "home": "/",
    }
    wrong = {}
    for name, path in pages.items():
        answer = client.get(path)
        text = answer.text.replace("q=Nightingale", "").replace('value="Nightingale"', "")
        if answer.status_code != 200 or SECRET in text or "424242" in text or "424,242" in text:
            wrong[name] = (answer.status_code, SECRET in text, "424242" in text)
    assert wrong == {}
    for path in pages["list"], pages["related list"], pages["calendar"]:
        assert firm.matter in client.get(path).text, path
    assert firm.matter in client.get("/o/matter?view=by_stage").text


def test_a_typed_id_in_a_form_reads_nothing_of_a_hidden_record(browser: tuple[Firm, Any]) -> None:
    _, client = browser
    firm = browser[0]
    shown = {}
    for name, id in (("hidden", firm.hidden), ("open", firm.open), ("none", NOBODY)):
        shown[name] = client.get(f"/o/matter/new?client={id}").text.replace(id, "")
    hidden = 'data-field="rich"' in shown["hidden"], "rich" in shown["hidden"]
    assert hidden == ('data-field="rich"' in shown["none"], "rich" in shown["none"])
    assert len(shown["hidden"]) == len(shown["none"])


def test_a_file_of_a_hidden_record_is_answered_like_no_file(browser: tuple[Firm, Any]) -> None:
    firm, client = browser
    world = firm.world.world
    id = world.new_id()
    with firm.world.write(SYSTEM) as records:
        file = File(id=id, name="a.txt", media_type="text/plain", size=1, sha256="0" * 64, at=world.clock(), by=None)
        add_file(records.connection, file)
        attach_files(records.connection, [id], "client", firm.hidden)
    app_client = client
    app_client.application.config["PROPAGATE_EXCEPTIONS"] = False
    told, nothing = app_client.get(f"/files/{id}"), app_client.get(f"/files/{NOBODY}")
    assert told.status_code == nothing.status_code == 404
    assert firm.hidden not in told.text
    assert "client" not in told.text.replace('href="/o/client', "")
