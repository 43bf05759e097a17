"""Automations after the commit: enqueued with the save, done once, contained when a record is bad, repeatable."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict
from ratoon.platform.jobs import drain
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import runs, steps
from ratoon.platform.storage.notifications import of_user

Agency = Callable[..., Environment]
Inbox = Receiver = Any
TASK = {"type": "create_record", "object": "task", "values": {"subject": '"Call " & name', "contract": "id"}}


def automation(name: str, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An automation of contracts after the commit."""
    return {
        "kind": "automation",
        "object": "contract",
        "name": name,
        "label": name.title(),
        "on": ["created", "updated"],
        "when": "after_commit",
        "actions": list(actions),
        **more,
    }


def create(env: Environment, object: str, *values: dict[str, Any]) -> list[str]:
    return [r["id"] for r in env.transact(SYSTEM, lambda records: records.create(object, list(values)))]


def update(env: Environment, object: str, record: str, **values: Any) -> None:
    env.transact(SYSTEM, lambda records: records.update(object, [Change(record, values)]))


def subjects(env: Environment) -> list[str]:
    with env.read(SYSTEM) as records:
        return sorted(r["subject"] for r in records.list(Query("task", limit=500)).records)


def all_runs(env: Environment) -> list[runs.Run]:
    with env.database.read() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM ratoon_run ORDER BY created_at, id")]
        return [found for i in ids if (found := runs.load(connection, str(i))) is not None]


def retry(env: Environment, run: str) -> None:
    with env.database.write() as connection:
        assert runs.retry(connection, run, env.world.clock())


def test_a_set_of_records_is_one_run_and_nothing_happens_before_it(agency: Agency) -> None:
    env = agency(automation("call", TASK, condition="amount > 10"))
    create(env, "contract", *({"name": f"c{n}", "amount": n} for n in (5, 20, 30)))
    assert subjects(env) == []
    (run,) = all_runs(env)
    assert (run.state, run.rule, run.trigger, run.records) == ("waiting", "contract.call", "created", 2)
    drain(env)
    assert subjects(env) == ["Call c20", "Call c30"]
    (run,) = all_runs(env)
    assert (run.state, run.result) == ("done", {"failed": 0, "records": 2, "through": 2})


def test_what_is_rolled_back_enqueues_nothing(agency: Agency) -> None:
    env = agency(automation("call", TASK))

    def work(records: Any) -> None:
        records.create("contract", [{"name": "x"}])
        raise Conflict("no")

    with pytest.raises(Conflict):
        env.transact(SYSTEM, work)
    assert all_runs(env) == []


def test_old_values_are_those_of_the_save(agency: Agency) -> None:
    env = agency(
        automation(
            "grew",
            {"type": "create_record", "object": "task",
             "values": {"subject": 'TEXT(PRIORVALUE(amount)) & " to " & TEXT(amount)'}},
            on=["updated"], fields=["amount"], condition="amount > PRIORVALUE(amount)",
        )
    )  # fmt: skip
    (record,) = create(env, "contract", {"name": "c", "amount": 10})
    update(env, "contract", record, name="d")
    update(env, "contract", record, amount=5)
    update(env, "contract", record, amount=50)
    drain(env)
    assert subjects(env) == ["5 to 50"]


def test_a_bad_record_among_many_is_named_and_the_others_pass(agency: Agency) -> None:
    split = {"type": "set_fields", "values": {"note": "TEXT(amount / parts)"}}
    env = agency(automation("split", split, TASK, on=["created"]))
    ids = create(env, "contract", *({"name": f"c{n}", "amount": 10, "parts": 0 if n == 3 else 2} for n in range(6)))
    drain(env)
    assert subjects(env) == [f"Call c{n}" for n in (0, 1, 2, 4, 5)]
    (run,) = all_runs(env)
    assert run.state == "failed"
    assert "1 of 6 record(s) failed, the first at step 1" in str(run.error)
    with env.database.read() as connection:
        bad = [s for s in steps.of_run(connection, run.id) if s["state"] == "failed"]
    assert [s["record"] for s in bad] == [ids[3]]
    update(env, "contract", ids[3], parts=5)
    retry(env, run.id)
    drain(env)
    assert subjects(env) == [f"Call c{n}" for n in range(6)]
    assert all_runs(env)[0].state == "done"


def test_a_condition_that_fails_on_one_record_does_not_refuse_the_save(agency: Agency) -> None:
    env = agency(automation("call", TASK, on=["created"], condition="amount / parts > 1"))
    ids = create(env, "contract", {"name": "good", "amount": 9, "parts": 1}, {"name": "bad", "amount": 9, "parts": 0})
    drain(env)
    assert subjects(env) == ["Call good"]
    (failed,) = [run for run in all_runs(env) if run.state == "failed"]
    assert "condition could not be worked out" in str(failed.error)
    update(env, "contract", ids[1], parts=3)
    retry(env, failed.id)
    drain(env)
    assert subjects(env) == ["Call bad", "Call good"]


def test_a_call_is_signed_and_carries_a_key_that_stays(agency: Agency, receiver: Receiver, time: Any) -> None:
    hook = {"type": "call_webhook", "url": f"{receiver.url}/hook?x=1", "values": {"title": "name", "sum": "amount"}}
    env = agency(automation("tell", hook, on=["created"]), webhook_private_addresses=True, webhook_secret="s3")
    (record,) = create(env, "contract", {"name": "c", "amount": 10})
    receiver.answers = [(503, {}), (200, {})]
    drain(env)
    (run,) = all_runs(env)
    assert (run.state, run.error_code) == ("waiting", "some_failed")
    time.pass_(seconds=5)
    drain(env)
    assert all_runs(env)[0].state == "done"
    (path, first, body), (_, second, _) = receiver.calls
    assert path == "/hook?x=1"
    assert json.loads(body) == {
        "event": "created", "id": record, "object": "contract", "record": {"sum": "10.00", "title": "c"},
        "rule": "contract.tell",
    }  # fmt: skip
    assert first["Idempotency-Key"] == second["Idempotency-Key"] == f"{run.id}/1/{record}"
    seconds, digest = (part.partition("=")[2] for part in first["Ratoon-Signature"].split(","))
    assert hmac.new(b"s3", f"{seconds}.".encode() + body, hashlib.sha256).hexdigest() == digest


def test_a_call_that_is_refused_for_good_is_a_dead_letter_until_it_is_replayed(
    agency: Agency, receiver: Receiver
) -> None:
    env = agency(
        automation("tell", {"type": "call_webhook", "url": receiver.url}, on=["created"]),
        webhook_private_addresses=True,
    )
    receiver.answers = [(410, {})]
    create(env, "contract", {"name": "c"})
    drain(env)
    (run,) = all_runs(env)
    assert run.state == "failed"
    assert "answered 410" in str(run.error)
    retry(env, run.id)
    drain(env)
    assert all_runs(env)[0].state == "done"
    assert json.loads(receiver.calls[1][2])["record"]["name"] == "c"


def test_private_addresses_are_refused(agency: Agency, receiver: Receiver) -> None:
    env = agency(automation("tell", {"type": "call_webhook", "url": receiver.url}, on=["created"]))
    create(env, "contract", {"name": "c"})
    drain(env)
    (run,) = all_runs(env)
    assert "a private address" in str(run.error)
    assert receiver.calls == []


def test_a_call_that_hangs_is_cut_off(agency: Agency, receiver: Receiver) -> None:
    env = agency(
        automation("tell", {"type": "call_webhook", "url": receiver.url, "timeout": 1}, on=["created"]),
        webhook_private_addresses=True,
    )
    receiver.hang.clear()
    create(env, "contract", {"name": "c"})
    drain(env)
    (run,) = all_runs(env)
    assert run.state == "waiting"
    assert "no answer within 1 seconds" in str(run.error)


def test_a_mail_is_filled_in_from_its_template(agency: Agency, inbox: Inbox) -> None:
    mail = {"type": "send_email", "template": "won", "to": "client.mail"}
    env = agency(
        automation("mail", mail, fields=["state"], condition='ISPICKVAL(state, "won")'),
        smtp_host="127.0.0.1", smtp_port=inbox.port,
    )  # fmt: skip
    (client,) = create(env, "client", {"name": "Ann & Co", "mail": "ann@example.com"})
    values = {"client": client, "amount": "1234.5", "state": "won", "end_date": "2027-03-01"}
    create(env, "contract", {"name": "Roof", **values})
    drain(env)
    (message,) = inbox.mails
    assert (message["To"], message["Subject"]) == ("ann@example.com", "Roof won")
    plain = message.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    assert plain.strip() == "Dear Ann & Co, 1,234.5 until Mar 1, 2027: Won."
    assert "Ann &amp; Co" in message.get_body(("html",)).get_content()  # type: ignore[attr-defined]


def test_a_mail_server_that_refuses_is_told_in_the_run(agency: Agency, inbox: Inbox, time: Any) -> None:
    mail = {"type": "send_email", "subject": "name", "text": "note", "to": '"ann@example.com"'}
    env = agency(automation("mail", mail, on=["created"]), smtp_host="127.0.0.1", smtp_port=inbox.port)
    inbox.refuse = "451 later"
    create(env, "contract", {"name": "c"})
    drain(env)
    (run,) = all_runs(env)
    assert run.state == "waiting"
    assert "451" in str(run.error)
    inbox.refuse = "550 no such person"
    time.pass_(seconds=5)
    drain(env)
    assert all_runs(env)[0].state == "failed"
    inbox.refuse = None
    retry(env, run.id)
    drain(env)
    assert all_runs(env)[0].state == "done"
    assert [m["Subject"] for m in inbox.mails] == ["c"]


def test_a_notification_reaches_the_user_once(agency: Agency) -> None:
    env = agency(
        automation("tell", {"type": "notify", "to": "owner", "subject": '"Look at " & name'}, TASK, on=["created"])
    )
    (user,) = create(env, "user", {"name": "Bo", "email": "bo@example.com", "active": True})
    (record,) = create(env, "contract", {"name": "c", "owner": user})
    drain(env)
    with env.database.read() as connection:
        (note,) = of_user(connection, user)
    assert (note.title, note.object, note.record, note.read_at) == ("Look at c", "contract", record, None)


def test_a_wait_goes_on_in_the_same_run_and_after_a_branch_in_its_own(agency: Agency, time: Any) -> None:
    def task(text: str) -> dict[str, Any]:
        return {"type": "create_record", "object": "task", "values": {"subject": f'"{text} " & name'}}

    steps_ = [
        task("now"),
        {"type": "wait", "for": {"days": 2}},
        {"type": "branch",
         "cases": [{"condition": "amount > 10", "actions": [{"type": "wait", "until": "end_date"}, task("big")]}],
         "otherwise": [task("small")]},
        task("end"),
    ]  # fmt: skip
    env = agency(automation("steps", *steps_, on=["created"]))
    create(env, "contract", {"name": "a", "amount": 5}, {"name": "b", "amount": 50, "end_date": "2026-12-01"})
    drain(env)
    assert subjects(env) == ["now a", "now b"]
    assert [r.state for r in all_runs(env)] == ["waiting"]
    time.pass_(days=2)
    drain(env)
    assert subjects(env) == ["end a", "now a", "now b", "small a"]
    time.pass_(days=20)
    drain(env)
    assert subjects(env) == ["big b", "end a", "end b", "now a", "now b", "small a"]
    assert [r.state for r in all_runs(env)] == ["done", "done"]
    assert all_runs(env)[1].parent == all_runs(env)[0].id


def test_automations_that_cause_one_another_are_stopped_and_named(agency: Agency) -> None:
    env = agency(automation("grow", {"type": "set_fields", "values": {"amount": "amount + 1"}}))
    create(env, "contract", {"name": "c", "amount": 1})
    drain(env)
    last = all_runs(env)[-1]
    assert last.state == "failed"
    assert "contract.grow → contract.grow" in str(last.error)
    assert len(all_runs(env)) == 3


def test_upsert_makes_and_then_changes(agency: Agency) -> None:
    put = {"type": "upsert_record", "object": "task", "key": "key", "values": {"key": "number", "subject": "name"}}
    env = agency(automation("put", put))
    (record,) = create(env, "contract", {"name": "first", "number": "7"})
    drain(env)
    update(env, "contract", record, name="second")
    drain(env)
    assert subjects(env) == ["second"]


def test_a_record_that_is_gone_is_skipped_and_a_deletion_can_be_told(agency: Agency) -> None:
    gone = automation("gone", {**TASK, "values": {"subject": '"Bye " & name'}}, on=["deleted"])
    env = agency(automation("call", TASK, on=["created"]), gone)
    (record,) = create(env, "contract", {"name": "c"})
    env.transact(SYSTEM, lambda records: records.delete("contract", [record]))
    drain(env)
    assert subjects(env) == ["Bye c"]
    assert [r.state for r in all_runs(env)] == ["done", "done"]


def test_explain_shows_it_in_step_15(agency: Agency) -> None:
    env = agency(automation("call", TASK, condition="amount > 1"))
    engine = env.engine
    (step,) = engine.reactions.explain(engine.registry["contract"], "created", "job")
    assert (step.name, step.detail) == ("call", "amount > 1")


def test_sums_of_an_automation_that_acts_for_a_person_leave_out_what_that_person_may_not_see(agency: Agency) -> None:
    counting = {
        "type": "set_fields",
        "values": {"note": 'TEXT(COUNT(task)) & " " & TEXT(CONVERT(amount, "EUR", "CNY"))'},
    }
    rights = {"contract": ["create", "read", "edit"], "task": ["read"], "exchange_rate": ["read"]}
    rep = {"kind": "role", "name": "rep", "label": "Rep", "objects": rights, "rows": {"task": "owner = $user.id"}}
    env = agency(rep, automation("count", counting, run_as="user", on=["updated"], fields=["state"]),
                 automation("count_all", counting, on=["updated"], fields=["name"]))  # fmt: skip
    create(env, "exchange_rate", {"currency": "EUR", "starts_on": "2020-01-01", "rate": "8"})
    (user,) = create(env, "user", {"name": "Ann", "email": "ann@x.cn"})
    (contract,) = create(env, "contract", {"name": "c", "amount": 10})
    create(
        env, "task", *({"subject": n, "contract": contract, "owner": o} for n, o in (("mine", user), ("other", None)))
    )

    def note() -> Any:
        with env.read(SYSTEM) as records:
            return records.get("contract", contract)["note"]

    with env.write(SYSTEM) as records:
        Accounts(env.world).set_roles(records.connection, user, ["rep"])
    ann = Actor(id=user, name="Ann", roles=frozenset({"rep"}))
    env.transact(ann, lambda records: records.update("contract", [Change(contract, {"state": "open"})]))
    drain(env)
    assert note() == "1 80"
    env.transact(ann, lambda records: records.update("contract", [Change(contract, {"name": "d"})]))
    drain(env)
    assert note() == "2 80"
