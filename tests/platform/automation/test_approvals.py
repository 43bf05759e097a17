"""Approvals: who is asked, what is locked, what follows, and that no two answers both count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.automation.approvals import approvals_of
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict, Forbidden, MetadataRefused, RatoonError, ValidationFailed
from ratoon.platform.jobs import drain
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.why_access import why_access
from ratoon.platform.storage import approvals as store
from ratoon.platform.storage.notifications import of_user


def field(name: str, kind: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "label": name.title(), **options}


STATES = [{"value": v, "label": v.title()} for v in ("pending", "approved", "rejected", "recalled")]
ALL = ["create", "read", "edit", "delete"]
SALES: list[dict[str, Any]] = [
    {"kind": "package", "name": "sales", "version": "1.0.0", "label": "Sales"},
    {
        "kind": "object", "name": "firm", "label": "Firm", "plural_label": "Firms", "title": "name",
        "fields": [field("name", "text", required=True), field("approved", "integer")],
    },
    {
        "kind": "object", "name": "deal", "label": "Deal", "plural_label": "Deals", "title": "name",
        "fields": [
            field("name", "text", required=True), field("firm", "lookup", object="firm"), field("discount", "percent"),
            field("amount", "integer"), field("note", "text"), field("granted", "percent"), field("checker", "user"),
            field("status", "picklist", values=STATES), field("submit", "boolean"),
        ],
    },
    {
        "kind": "approval", "object": "deal", "name": "discount", "label": "Discount", "order": 1,
        "condition": "discount > 0.2", "message": "Only discounts over 20 % need approval.",
        "lock": {"open_fields": ["note"], "approver_fields": ["granted"]}, "status_field": "status",
        "steps": [
            {"name": "manager", "label": "Manager", "approvers": [{"manager_of": "owner"}], "nobody": "skip",
             "escalate": {"after_hours": 24, "to": [{"role": "boss"}]}},
            {"name": "bosses", "label": "Bosses", "condition": "amount > 1000", "approvers": [{"role": "boss"}],
             "decide": "quorum", "quorum": 2, "reject_to": "manager"},
            {"name": "last", "label": "Last", "approvers": [{"field": "checker"}, {"formula": "'eve@x.cn'"}],
             "decide": "all"},
        ],
        "actions": {
            "approved": [{"type": "set_fields", "values": {"granted": "discount"}},
                         {"type": "update_related", "path": "firm", "values": {"approved": "amount"}}],
            "rejected": [{"type": "set_fields", "values": {"discount": "0"}}],
        },
    },
    {
        "kind": "automation", "object": "deal", "name": "ask", "label": "Ask", "on": ["updated"], "when": "after",
        "fields": ["submit"], "condition": "submit",
        "actions": [{"type": "submit_for_approval", "options": {"approval": "discount"}}],
    },
    {"kind": "role", "name": "boss", "label": "Boss", "objects": {"*": ALL}},
    {"kind": "role", "name": "rep", "label": "Rep", "objects": {"*": ALL}},
]  # fmt: skip


class Office:
    """The people of a small office and one deal."""

    def __init__(self, world: Environment) -> None:
        self.world = world
        self.people: dict[str, Actor] = {}
        accounts = Accounts(world.world)
        with world.write(SYSTEM) as records:
            for name in ("ann", "bob", "cem", "dai", "eve", "fay"):
                role = "boss" if name in ("bob", "cem", "dai") else "rep"
                (made,) = records.create("user", [{"name": name.title(), "email": f"{name}@x.cn"}])
                user = made["id"]
                accounts.set_roles(records.connection, user, [role])
                self.people[name] = Actor(id=user, name=name, roles=frozenset({role}))
            records.update("user", [Change(self.id("ann"), {"manager": self.id("bob")})])
            (firm,) = records.create("firm", [{"name": "Acme"}])
        self.firm = firm["id"]

    def id(self, name: str) -> str:
        return str(self.people[name].id)

    def deal(self, **values: Any) -> str:
        given = {"name": "D", "firm": self.firm, "discount": "30", "amount": 5, **values}
        return str(self.world.transact(self.people["ann"], lambda r: r.create("deal", [given]))[0]["id"])

    def do(self, name: str, work: Any) -> Any:
        actor = SYSTEM if name == "system" else self.people[name]
        return self.world.transact(actor, lambda r: work(approvals_of(r)))

    def submit(self, record: str, name: str = "ann") -> Any:
        return self.do(name, lambda a: a.submit("deal", record, comment="please"))

    def decide(self, name: str, id: str, approve: bool = True) -> Any:
        return self.do(name, lambda a: a.decide(id, approve=approve, comment=f"{name} says so"))

    def asked(self, request: Any) -> set[str]:
        by_id = {actor.id: name for name, actor in self.people.items()}
        return {by_id[v["user_id"]] for v in request["votes"] if v["state"] == "open"}

    def read(self, record: str) -> Any:
        with self.world.read(SYSTEM) as records:
            return records.get("deal", record)

    def update(self, who: str, record: str, **values: Any) -> Any:
        actor = SYSTEM if who == "system" else self.people[who]
        return self.world.transact(actor, lambda r: r.update("deal", [Change(record, values)]))[0]


@pytest.fixture
def office(open_world: Any) -> Office:
    return Office(open_world(SALES))


def test_a_record_goes_through_its_steps_and_something_follows(office: Office) -> None:
    record = office.deal(amount=5000, checker=office.id("fay"))
    request = office.submit(record)
    assert (request["step_label"], office.asked(request)) == ("Manager", {"bob"})
    assert office.read(record)["status"] == "pending"
    request = office.decide("bob", request["id"])
    assert (request["step"], office.asked(request)) == ("bosses", {"bob", "cem", "dai"})
    request = office.decide("bob", request["id"])
    assert request["step"] == "bosses", "one of two"
    request = office.decide("dai", request["id"])
    assert (request["step"], office.asked(request)) == ("last", {"fay", "eve"})
    office.decide("eve", request["id"])
    request = office.decide("fay", request["id"])
    assert request["state"] == "approved"
    found = office.read(record)
    assert (found["status"], found["granted"], found["version"]) == ("approved", 30, 4)
    with office.world.read(SYSTEM) as records:
        assert records.get("firm", office.firm)["approved"] == 5000
        told = approvals_of(records).history("deal", record)
    assert [d["event"] for d in told[0]["decisions"]] == [
        "submitted", "approved", "approved", "approved", "approved", "approved", "finished: approved",
    ]  # fmt: skip
    assert told[0]["decisions"][1]["comment"] == "bob says so"


def test_only_records_that_meet_the_criteria_are_taken(office: Office) -> None:
    record = office.deal(discount="10")
    with pytest.raises(ValidationFailed, match="Only discounts over 20 %"):
        office.submit(record)
    with office.world.read(office.people["ann"]) as records:
        approvals = approvals_of(records)
        assert approvals.offered("deal", records.get("deal", record)) == []
    office.update("ann", record, discount="25")
    with office.world.read(office.people["ann"]) as records:
        assert [p.name for p in approvals_of(records).offered("deal", records.get("deal", record))] == ["discount"]


def test_while_it_waits_the_record_is_locked_on_every_way_in(office: Office) -> None:
    record = office.deal()
    request = office.submit(record)
    for values in ({"amount": 6}, {"name": "E", "note": "x"}, {"granted": "5"}):
        with pytest.raises(ValidationFailed) as error:
            office.update("ann", record, **values)
        assert {p.code for p in error.value.problems} == {"locked"}
    assert office.update("ann", record, note="open to all")["note"] == "open to all"
    assert office.update("bob", record, granted="5")["granted"] == 5
    with pytest.raises(ValidationFailed):
        office.update("bob", record, amount=6)
    with pytest.raises(Conflict, match="waits for approval"):
        office.world.transact(office.people["ann"], lambda r: r.delete("deal", [record]))
    assert office.update("system", record, amount=7)["amount"] == 7, "an administrator"
    with office.world.database.read() as connection:
        told = {a.action: a for a in why_access(office.world.engine, connection, office.people["ann"], "deal", record)}
    assert (told["edit"].allowed, told["delete"].allowed) == (True, False)
    assert told["edit"].reasons[-1].text().endswith("only Note can be changed now.")
    office.do("ann", lambda a: a.recall(request["id"], "changed my mind"))
    assert office.update("ann", record, amount=8)["status"] == "recalled"


def test_a_rejection_ends_it_or_leads_back_to_a_step(office: Office) -> None:
    record = office.deal(amount=5000, checker=office.id("fay"))
    request = office.submit(record)
    office.decide("bob", request["id"])
    office.decide("bob", request["id"], approve=False)
    request = office.decide("cem", request["id"], approve=False)
    assert (request["state"], request["step"], office.asked(request)) == ("pending", "manager", {"bob"})
    request = office.decide("bob", request["id"], approve=False)
    assert (request["state"], office.read(record)["status"], office.read(record)["discount"]) == (
        "rejected",
        "rejected",
        0,
    )
    with pytest.raises(Conflict, match="decided already"):
        office.decide("bob", request["id"])


def test_only_who_is_asked_decides_and_only_who_submitted_takes_back(office: Office) -> None:
    request = office.submit(office.deal())
    for name in ("ann", "cem"):
        with pytest.raises(Forbidden):
            office.decide(name, request["id"])
    with pytest.raises(Forbidden):
        office.do("cem", lambda a: a.recall(request["id"]))
    with pytest.raises(Conflict, match="already"):
        office.submit(request["record"])
    told = office.do("system", lambda a: a.decide(request["id"], approve=False, comment="by decree"))
    assert [d["event"] for d in told["decisions"]][-3:] == ["overruled", "rejected", "finished: rejected"]


def test_who_is_away_is_not_asked_and_questions_can_be_handed_over(office: Office, time: Any) -> None:
    from datetime import timedelta

    def away(name: str, delegate: str) -> None:
        with office.world.write(SYSTEM) as records:
            store.add_delegation(records.connection, {
                "id": office.world.world.new_id(), "user_id": office.id(name), "delegate": office.id(delegate),
                "starts_at": time.now, "ends_at": time.now + timedelta(days=2),
            })  # fmt: skip

    away("bob", "cem")
    request = office.submit(office.deal())
    assert office.asked(request) == {"cem"}
    away("cem", "dai")
    with office.world.read(office.people["dai"]) as records:
        assert [q["title"] for q in approvals_of(records).mine()] == ["D"], "asked before cem went away"
    request = office.do("dai", lambda a: a.delegate(request["id"], office.id("fay"), "you know better"))
    assert office.asked(request) == {"fay"}
    time.pass_(days=3)
    second = office.submit(office.deal(name="E"))
    assert office.asked(second) == {"bob"}
    assert office.decide("fay", request["id"])["step"] == "last"


def test_when_nobody_answers_in_time_more_people_are_asked(office: Office, time: Any) -> None:
    request = office.submit(office.deal())
    time.pass_(hours=23)
    drain(office.world)
    assert office.asked(office.do("system", lambda a: a.tell(request["id"]))) == {"bob"}
    time.pass_(hours=2)
    drain(office.world)
    told = office.do("system", lambda a: a.tell(request["id"]))
    assert office.asked(told) == {"bob", "cem", "dai"}
    assert told["decisions"][-1]["event"] == "escalated"
    second = office.submit(office.deal(name="E"))
    office.decide("bob", second["id"])
    time.pass_(hours=48)
    drain(office.world)
    assert office.asked(office.do("system", lambda a: a.tell(second["id"]))) == {"eve"}, "the step was over"


def test_an_automation_submits_and_explain_shows_the_lock(office: Office) -> None:
    from ratoon.platform.records.order import explain

    record = office.deal()
    assert office.update("ann", record, submit=True)["status"] == "pending"
    with office.world.read(SYSTEM) as records:
        found = approvals_of(records).pending("deal", record)
    assert found is not None
    assert found["submitted_by"] == office.id("ann")
    steps = explain(office.world.registry, "deal", "updated", office.world.reactions)
    assert ("lock while pending", "discount") in {(p.kind, p.name) for s in steps if s.number == 6 for p in s.parts}


def test_steps_without_anybody_to_ask_are_left_out_or_refuse(office: Office) -> None:
    record = office.world.transact(office.people["fay"], lambda r: r.create("deal", [{"name": "F", "discount": "50"}]))
    request = office.submit(record[0]["id"], "fay")
    assert request["step"] == "last", "fay has no manager"
    with office.world.write(SYSTEM) as records:
        records.update("user", [Change(office.id("eve"), {"active": False})])
    other = office.world.transact(office.people["fay"], lambda r: r.create("deal", [{"name": "G", "discount": "50"}]))
    with pytest.raises(ValidationFailed, match="nobody to ask"):
        office.submit(other[0]["id"], "fay")
    assert office.read(other[0]["id"])["status"] is None, "nothing is left of a refused submission"


def test_of_two_answers_at_once_one_counts(office: Office) -> None:
    request = office.submit(office.deal())
    office.do("bob", lambda a: a.delegate(request["id"], office.id("cem")))

    def answer(approve: bool) -> Any:
        try:
            return office.decide("cem", request["id"], approve)
        except RatoonError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(answer, (True, False)))
    told = office.do("system", lambda a: a.tell(request["id"]))
    events = [d["event"] for d in told["decisions"]]
    assert events.count("approved") + events.count("rejected") == 1, answers
    assert sum(isinstance(a, RatoonError) for a in answers) == 1


def test_the_check_names_what_is_wrong_with_a_process() -> None:
    import copy

    from ratoon.platform.fields import builtin_types
    from ratoon.platform.metadata.compile import compile_registry
    from ratoon.platform.metadata.documents import Document, place

    documents = copy.deepcopy(SALES)
    process = next(d for d in documents if d["kind"] == "approval")
    process["status_field"] = "amount"
    process["lock"] = {"open_fields": ["nonsense"]}
    process["steps"][0]["approvers"] = [{"role": "bos"}, {"field": "amount"}]
    process["steps"][1]["reject_to"] = "last"
    del process["steps"][1]["quorum"]
    process["actions"]["approved"].append({"type": "set_fields", "values": {"granted": "nothing"}})
    documents[4]["actions"][0]["options"] = {"approval": "discounts"}
    made = [Document(place(str(d["kind"]), d), str(d["kind"]), d, "sales") for d in documents]
    with pytest.raises(MetadataRefused) as refused:
        compile_registry(made, types=builtin_types())
    assert {(f.pointer, f.code) for f in refused.value.findings} == {
        ("/status_field", "wrong_type"),
        ("/lock/open_fields/0", "unknown_field"),
        ("/steps/0/approvers/0/role", "unknown_role"),
        ("/steps/0/approvers/1/field", "wrong_type"),
        ("/steps/1/reject_to", "unknown_step"),
        ("/steps/1", "missing_key"),
        ("/actions/approved/2/values/granted", "formula_unknown_name"),
        ("/actions/0/options", "unknown_approval"),
    }


def test_a_process_that_is_gone_can_only_be_taken_back(office: Office) -> None:
    from ratoon.platform.metadata.documents import canonical, place
    from ratoon.platform.packages import Target, apply_package

    request = office.submit(office.deal())
    left = [d for d in SALES if d["kind"] not in ("approval", "automation")]
    source: Any = {place(str(d["kind"]), d): canonical(d).encode() for d in left}
    apply_package(Target.of(office.world), source, message="test", allow_destructive=True)
    with pytest.raises(Conflict, match="not there any more"):
        office.decide("bob", request["id"])
    assert office.update("ann", request["record"], amount=9)["amount"] == 9, "nothing locks it"
    assert office.do("ann", lambda a: a.recall(request["id"]))["state"] == "recalled"


def test_those_who_are_asked_are_told_and_mailed_a_link(office: Office, time: Any, monkeypatch: Any) -> None:
    from dataclasses import replace
    from datetime import timedelta

    from ratoon.platform.automation import approval_links, mailing
    from ratoon.platform.errors import NotFound
    from ratoon.platform.storage import notifications

    mails: list[Any] = []
    monkeypatch.setattr(mailing.Mailer, "send", lambda self, mail: mails.append(mail))
    world = office.world
    world.settings = replace(world.settings, smtp_host="mail.test", public_url="https://crm.test")
    request = office.submit(office.deal())
    drain(world)
    drain(world)
    assert [(m.to, m.subject) for m in mails] == [(("bob@x.cn",), "Discount: D")]
    with world.read(SYSTEM) as records:
        told = notifications.of_user(records.connection, office.id("bob"))
    assert [(n.title, n.body, n.record) for n in told] == [("Discount: D", "Manager", request["record"])]
    token = mails[0].text.partition("/approvals/link/")[2].split()[0]
    assert "Ann asks for your approval." in mails[0].text
    assert f"{token}" in mails[0].html
    actor, id = approval_links.follow(world, token)
    assert (actor.id, actor.source, id) == (office.id("bob"), "link", request["id"])
    secret = world.secret()
    for wrong in (token[:-3] + "abc", "", "x" * 80, token + "\u00e9"):
        with pytest.raises(NotFound):
            approval_links.follow(world, wrong)
    with pytest.raises(NotFound):
        approval_links.read(secret, token, time.now + timedelta(days=15))
    with pytest.raises(NotFound):
        approval_links.read(b"another", token, time.now)
    office.decide("bob", request["id"])
    with pytest.raises(NotFound):
        approval_links.follow(world, token)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.sampled_from(["ann", "bob", "fay"]), st.none()),
        st.tuples(st.just("decide"), st.sampled_from(["ann", "bob", "cem", "dai", "eve", "fay"]), st.booleans()),
        st.tuples(st.just("recall"), st.sampled_from(["ann", "bob"]), st.none()),
        st.tuples(st.just("change"), st.sampled_from(["ann", "bob", "cem"]), st.integers(1, 9000)),
        st.tuples(st.just("escalate"), st.just("system"), st.none()),
    ),
    max_size=14,
)


@settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=STEPS)
def test_whatever_happens_requests_votes_locks_and_status_agree(office: Office, steps: Any) -> None:
    record = office.deal(amount=2000, checker=office.id("fay"))
    for what, who, value in steps:
        with office.world.read(SYSTEM) as records:
            pending = store.pending(records.connection, [record]).get(record)
        before = office.read(record)
        try:
            if what == "submit":
                office.submit(record, who)
            elif what == "change":
                office.update(who, record, amount=value)
                assert pending is None or office.read(record) == before, "a locked record was changed"
            elif pending is None:
                continue
            elif what == "decide":
                office.decide(who, pending["id"], value)
            elif what == "recall":
                office.do(who, lambda a, id=pending["id"]: a.recall(id))
            else:
                office.do(who, lambda a, id=pending["id"], n=pending["round"]: a.escalate(id, n))
        except RatoonError:
            assert office.read(record) == before, "what is refused leaves nothing"
        _agree(office, record)


def _agree(office: Office, record: str) -> None:
    row = office.read(record)
    with office.world.read(SYSTEM) as records:
        requests = store.requests_of(records.connection, record)
        waiting = [r for r in requests if r["state"] == "pending"]
        assert len(waiting) <= 1
        assert row["status"] == (requests[0]["state"] if requests else None)
        for request in requests:
            votes = store.votes_of(records.connection, request["id"])
            still = [v for v in votes if v["state"] == "open"]
            if request["state"] == "pending":
                assert still
                assert {(v["step"], v["round"]) for v in still} == {(request["step"], request["round"])}
            else:
                assert not still
                assert request["finished_at"] is not None
            asked = [(v["round"], v["user_id"]) for v in votes]
            assert len(asked) == len(set(asked)), "nobody is asked twice in one round"


def test_only_who_may_read_the_record_is_asked(open_world: Any) -> None:
    rows = {"deal": "amount < 100"}
    blind = {"kind": "role", "name": "boss", "label": "Boss", "objects": {"deal": ["read"]}, "rows": rows}
    office = Office(open_world([*(d for d in SALES if d.get("name") != "boss"), blind]))
    request = office.submit(office.deal(amount=50))
    assert (request["step"], office.asked(request)) == ("manager", {"bob"})
    with pytest.raises(ValidationFailed, match="Nobody who would be asked in step Bosses may read this record"):
        office.submit(office.deal(amount=5000))


def test_a_question_that_is_answered_is_not_unread_in_the_bell_of_anybody_asked(open_world: Any) -> None:
    office = Office(open_world(SALES))

    def waiting() -> dict[str, int]:
        with office.world.read(SYSTEM) as records:
            return {
                name: len([n for n in of_user(records.connection, office.id(name), unread_only=True)
                           if n.kind == "approval"])
                for name in office.people
            }  # fmt: skip

    request = office.submit(office.deal(amount=50))
    asked = office.asked(request)
    assert asked
    assert {name for name, count in waiting().items() if count} == asked
    office.do(next(iter(sorted(asked))), lambda a: a.delegate(request["id"], office.id("fay")))
    assert {name for name, count in waiting().items() if count} == (asked - {min(asked)}) | {"fay"}
    office.do("ann", lambda a: a.recall(request["id"]))
    assert not any(waiting().values())
    again = office.submit(office.deal(amount=50))
    office.decide(min(office.asked(again)), again["id"], True)
    now = office.do("system", lambda a: a.tell(again["id"]))
    assert {name for name, count in waiting().items() if count} == office.asked(now)
