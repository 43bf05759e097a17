"""What saving a record promises, each promise on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, LoopStopped, NotFound, Stale, ValidationFailed
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService


@pytest.fixture
def write(shop: Environment) -> Callable[[Callable[[RecordService], Any]], Any]:
    return lambda work: shop.transact(SYSTEM, work)


def codes(error: pytest.ExceptionInfo[ValidationFailed]) -> list[tuple[str | None, str]]:
    return sorted((p.field or "", p.code) for p in error.value.problems)


def customer(records: RecordService, **values: Any) -> dict[str, Any]:
    return records.create("customer", [{"name": "Lin", **values}])[0]


def job(records: RecordService, **values: Any) -> dict[str, Any]:
    if "customer" not in values:
        values["customer"] = customer(records)["id"]
    return records.create("job", [{"name": "Fix", **values}], acknowledge=True)[0]


def test_a_new_record_gets_number_stage_currency_and_what_is_computed(write: Any) -> None:
    record = write(lambda r: job(r, price="100", customer=customer(r, country="CN")["id"]))
    assert record["number"] == "JOB-2026-0001"
    assert (record["stage_pipeline"], record["stage"]) == ("standard", "new")
    assert (record["price"], record["price_currency"]) == (Decimal("100.00"), "CNY")
    assert record["customer_country"] == "CN"
    assert record["gross"] == Decimal("119.00")
    assert record["express"] is False
    assert record["version"] == 1


def test_all_problems_of_all_records_are_told_at_once(write: Any) -> None:
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.create("job", [{"price": "x", "due": 5, "colour": 1}, {"name": "b", "express": True}]))
    assert {(p.index, p.field, p.code) for p in error.value.problems} >= {
        (0, "name", "required"),
        (0, "customer", "required"),
        (0, "colour", "unknown_field"),
        (1, "due", "required"),
        (1, "customer", "required"),
    }
    assert {p.field for p in error.value.problems if p.index == 0} >= {"price", "due"}


def test_a_refused_save_leaves_nothing_and_no_gap_in_the_numbers(shop: Environment, write: Any) -> None:
    who = write(customer)["id"]
    with pytest.raises(ValidationFailed):
        write(lambda r: job(r, customer=who, price="-10"))
    assert write(lambda r: job(r, customer=who))["number"] == "JOB-2026-0001"
    with shop.read(SYSTEM) as records:
        assert len(records.list(Query("job")).records) == 1


def test_a_warning_is_acknowledged_or_refuses(write: Any) -> None:
    who = write(customer)["id"]
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.create("job", [{"name": "a", "customer": who, "price": "15"}]))
    assert [p.severity for p in error.value.problems] == ["warning"]
    kept = write(lambda r: r.create("job", [{"name": "a", "customer": who, "price": "15"}], acknowledge=True))
    assert kept[0]["price"] == 15


def test_rules_see_the_value_before(write: Any) -> None:
    record = write(lambda r: job(r, price="100"))
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.update("job", [Change(record["id"], {"price": "90"})]))
    assert codes(error) == [("price", "rule")]


def test_a_stale_version_is_refused_with_the_current_record(write: Any) -> None:
    record = write(lambda r: job(r))
    write(lambda r: r.update("job", [Change(record["id"], {"name": "A"}, version=1)]))
    with pytest.raises(Stale) as error:
        write(lambda r: r.update("job", [Change(record["id"], {"name": "B"}, version=1)]))
    assert error.value.current["name"] == "A"
    assert error.value.yours == 1


def test_an_update_that_changes_nothing_writes_nothing(write: Any) -> None:
    record = write(lambda r: job(r))
    same = write(lambda r: r.update("job", [Change(record["id"], {"name": "Fix"})]))[0]
    assert same["version"] == 1


def test_conditional_fields_hold_on_every_way_in(write: Any) -> None:
    who = write(customer)["id"]
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: job(r, customer=who, express=True, coupon="X"))
    assert codes(error) == [("coupon", "hidden_field"), ("due", "required")]
    done = write(lambda r: job(r, customer=who, kind="phone", price="10", final_note="ok"))
    for stage in ("work", "done"):
        write(lambda r, stage=stage: r.update("job", [Change(done["id"], {"stage": stage})]))
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.update("job", [Change(done["id"], {"final_note": "changed"})]))
    assert codes(error) == [("final_note", "read_only")]


def test_dependent_and_inactive_picklist_values_are_refused(write: Any) -> None:
    who = write(customer)["id"]
    for values, code in (
        ({"kind": "phone", "part": "wheel"}, "dependent_value"),
        ({"part": "wheel"}, "dependent_value"),
        ({"kind": "car", "part": "horn"}, "inactive_value"),
    ):
        with pytest.raises(ValidationFailed) as error:
            write(lambda r, values=values: job(r, customer=who, **values))
        assert codes(error) == [("part", code)]


def test_a_dependent_value_is_refused_in_the_words_of_the_labels(write: Any) -> None:
    who = write(customer)["id"]
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: job(r, customer=who, kind="phone", part="wheel"))
    assert error.value.problems[0].text() == "Wheel does not go with Kind = Phone."


def test_a_lookup_filter_is_enforced(write: Any) -> None:
    one, two = write(lambda r: [customer(r, name=n)["id"] for n in "ab"])
    device = write(lambda r: r.create("device", [{"name": "Phone", "customer": one}]))[0]["id"]
    assert write(lambda r: job(r, customer=one, device=device))["device"] == device
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: job(r, customer=two, device=device))
    assert codes(error) == [("device", "lookup_filter")]


def test_a_polymorphic_lookup_is_checked(write: Any) -> None:
    who = write(customer)["id"]
    assert write(lambda r: job(r, about=who, about_object="customer"))["about"] == who
    for values in ({"about": who, "about_object": "device"}, {"about": who, "about_object": "tag"}, {"about": who}):
        with pytest.raises(ValidationFailed):
            write(lambda r, values=values: job(r, name="x", **values))


def test_unique_values_and_keys_are_unique_within_a_call_and_with_what_is_there(write: Any) -> None:
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.create("customer", [{"name": n, "email": "a@b.example"} for n in "ab"]))
    assert [(p.index, p.code) for p in error.value.problems] == [(1, "not_unique")]
    first = write(lambda r: customer(r, email="a@b.example"))
    with pytest.raises(ValidationFailed):
        write(lambda r: customer(r, email="a@b.example"))
    write(lambda r: r.delete("customer", [first["id"]]))
    assert write(lambda r: customer(r, email="a@b.example"))["email"] == "a@b.example"
    with pytest.raises(ValidationFailed):
        write(lambda r: r.restore("customer", [first["id"]]))
    who = write(customer)["id"]
    write(lambda r: job(r, customer=who))
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: job(r, customer=who))
    assert codes(error) == [("customer", "not_unique")]


def test_upsert_makes_and_changes_in_one_call(write: Any) -> None:
    write(lambda r: customer(r, code="C1"))
    done = write(lambda r: r.upsert("customer", "code", [{"code": "C2", "name": "New"}, {"code": "C1", "name": "Old"}]))
    assert [(record["name"], made) for record, made in done] == [("New", True), ("Old", False)]


def test_a_hierarchy_has_no_circle(write: Any) -> None:
    a = write(lambda r: customer(r, name="a"))["id"]
    b = write(lambda r: customer(r, name="b", parent=a))["id"]
    c = write(lambda r: customer(r, name="c", parent=b))["id"]
    for parent in (a, b, c):
        with pytest.raises(ValidationFailed) as error:
            write(lambda r, parent=parent: r.update("customer", [Change(a, {"parent": parent})]))
        assert codes(error) == [("parent", "circle")]
    with pytest.raises(ValidationFailed):
        write(lambda r: r.update("customer", [Change(b, {"parent": None}), Change(a, {"parent": c})]) and
              r.update("customer", [Change(b, {"parent": a})]))  # fmt: skip


def test_restrict_cascade_and_set_null(shop: Environment, write: Any) -> None:
    who = write(customer)["id"]
    below = write(lambda r: customer(r, name="below", parent=who))["id"]
    device = write(lambda r: r.create("device", [{"name": "Phone", "customer": who}]))[0]["id"]
    work = write(lambda r: job(r, customer=who, device=device))["id"]
    with pytest.raises(Conflict, match="1 Devices"):
        write(lambda r: r.delete("customer", [who]))
    write(lambda r: r.delete("device", [device]))
    with shop.read(SYSTEM) as records:
        assert records.get("job", work)["device"] is None
    write(lambda r: r.delete("customer", [who]))
    with shop.read(SYSTEM) as records:
        assert records.get("customer", below)["parent"] is None
        with pytest.raises(NotFound):
            records.get("job", work)
        assert [r["id"] for r in records.list(Query("job", deleted=True)).records] == [work]
    write(lambda r: r.restore("customer", [who]))
    with shop.read(SYSTEM) as records:
        assert records.get("job", work)["customer"] == who
        assert records.get("customer", below)["parent"] == who
        assert records.get("customer", who)["open_jobs"] == 1
    write(lambda r: r.restore("device", [device]))
    with shop.read(SYSTEM) as records:
        assert records.get("job", work)["device"] == device


def test_many_to_many_is_a_set_with_attributes(shop: Environment, write: Any) -> None:
    tags = [t["id"] for t in write(lambda r: r.create("tag", [{"name": n} for n in "xyz"]))]
    who = write(lambda r: customer(r, tags=[tags[0], {"id": tags[1], "since": "2026-01-02"}]))["id"]

    def links() -> dict[str, Any]:
        with shop.read(SYSTEM) as records:
            return {link["id"]: link["since"] for link in records.get("customer", who, fields=["tags"])["tags"]}

    assert links() == {tags[0]: None, tags[1]: date(2026, 1, 2)}
    write(lambda r: r.update("customer", [Change(who, {"tags": [{"id": tags[1], "since": "2026-05-05"}, tags[2]]})]))
    assert links() == {tags[1]: date(2026, 5, 5), tags[2]: None}
    write(lambda r: r.delete("tag", [tags[2]]))
    assert links() == {tags[1]: date(2026, 5, 5)}


def test_the_history_of_a_record_tells_which_links_came_and_went(shop: Environment, write: Any) -> None:
    first, second = (t["id"] for t in write(lambda r: r.create("tag", [{"name": n} for n in "xy"])))
    made = write(lambda r: customer(r, tags=[{"id": first, "since": "2026-01-02"}]))
    assert made["tags"] == [{"id": first, "since": date(2026, 1, 2)}]
    (changed,) = write(lambda r: r.update("customer", [Change(made["id"], {"tags": [second]})]))
    assert [link["id"] for link in changed["tags"]] == [second]
    with shop.read(SYSTEM) as records:
        told = records.history("customer", made["id"])[0]["changes"]
    assert told == {"tags": [[{"id": first, "since": "2026-01-02"}], [{"id": second}]]}


def test_what_is_wrong_with_a_link_is_told_at_its_place_in_the_list(write: Any) -> None:
    (tag,) = (t["id"] for t in write(lambda r: r.create("tag", [{"name": "x"}])))
    nobody = "00000000-0000-7000-8000-000000000000"
    for wrong, within in (({"id": tag, "since": "soon"}, (0, "since")), (nobody, (0, "id"))):
        with pytest.raises(ValidationFailed) as error:
            write(lambda r, wrong=wrong: customer(r, tags=[wrong]))
        assert [(p.field, p.within) for p in error.value.problems] == [("tags", within)]


def test_stage_gates_tell_everything_that_is_missing(write: Any) -> None:
    record = write(lambda r: job(r))
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.update("job", [Change(record["id"], {"stage": "done"})]))
    assert codes(error) == [("stage", "transition")]
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.update("job", [Change(record["id"], {"stage": "work"})]))
    assert codes(error) == [("price", "required_in_stage"), ("stage", "stage_criteria")]
    (criterion,) = [p.rule for p in error.value.problems if p.code == "stage_criteria"]
    assert criterion == "standard.work.entry.1"
    write(lambda r: r.update("job", [Change(record["id"], {"stage": "work", "price": "10", "kind": "car"})]))
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.update("job", [Change(record["id"], {"price": None})]))
    assert ("price", "required_in_stage") in codes(error)
    with pytest.raises(ValidationFailed) as error:
        write(lambda r: r.update("job", [Change(record["id"], {"stage": "nowhere"})]))
    assert codes(error) == [("stage", "unknown_stage")]


def test_the_pipeline_is_chosen_by_its_formula(write: Any) -> None:
    record = write(lambda r: job(r, express=True, due="2026-12-01"))
    assert (record["stage_pipeline"], record["stage"]) == ("express", "rush")


def test_stage_history_keeps_the_time_in_each_stage(shop: Environment, write: Any, time: Any) -> None:
    record = write(lambda r: job(r, kind="car", price="10"))
    time.pass_(days=2)
    write(lambda r: r.update("job", [Change(record["id"], {"stage": "work"})]))
    time.pass_(hours=5)
    with shop.read(SYSTEM) as records:
        periods = [(p["stage"], p["seconds"]) for p in records.stage_history("job", record["id"])]
        path = [(s["name"], s["state"]) for s in records.stage_path("job", records.get("job", record["id"]))]
    assert periods == [("new", 2 * 86400), ("work", 5 * 3600)]
    assert path == [("new", "done"), ("work", "current"), ("done", "ahead"), ("dropped", "ahead")]


def test_automations_run_before_and_after_the_save(shop: Environment, write: Any) -> None:
    vip = write(lambda r: customer(r, name="Wu", vip=True))["id"]
    record = write(lambda r: job(r, customer=vip, kind="car", price="10", final_note="ok"))
    assert record["escalation"] == "vip Wu"
    for stage in ("work", "done"):
        done = write(lambda r, stage=stage: r.update("job", [Change(record["id"], {"stage": stage})]))[0]
    with shop.read(SYSTEM) as records:
        assert records.get("customer", vip)["country"] == "served"
        assert records.get("customer", vip)["open_jobs"] == 0
        assert records.get("job", record["id"])["customer_country"] == "served"
    assert done["customer_country"] == "served"


def test_a_loop_is_stopped_and_the_cycle_named(ping: Environment) -> None:
    def start(records: RecordService) -> tuple[str, str]:
        a = records.create("ping", [{"name": "a"}])[0]["id"]
        b = records.create("pong", [{"name": "b", "other": a}])[0]["id"]
        records.update("ping", [Change(a, {"other": b})])
        return a, b

    a, _ = ping.transact(SYSTEM, start)
    with pytest.raises(LoopStopped) as error:
        ping.transact(SYSTEM, lambda r: r.update("ping", [Change(a, {"number": 1})]))
    assert error.value.cycle[:3] == ("ping.hit", "pong.back", "ping.hit")
    with ping.read(SYSTEM) as records:
        assert records.get("ping", a)["number"] is None


def test_history_keeps_tracked_changes(shop: Environment, write: Any) -> None:
    record = write(lambda r: job(r, price="10"))
    write(lambda r: r.update("job", [Change(record["id"], {"price": "20"})], acknowledge=True))
    with shop.read(SYSTEM) as records:
        newest, first = records.history("job", record["id"])
    assert newest["changes"] == {"price": ["10.00", "20.00"]}
    assert first["action"] == "created"


def test_the_order_of_execution_is_the_published_one(shop: Environment) -> None:
    trace: list[Any] = []
    with shop.write(SYSTEM) as records:
        who = customer(records, vip=True)["id"]
    with shop.write(SYSTEM, trace=trace) as records:
        job(records, customer=who, price="10")
    seen = [(t.step, t.object, t.what, t.outcome) for t in trace]
    assert seen == [
        (4, "job", "vip_first", "escalation = vip Lin"),
        (8, "job", "not_negative", "kept"),
        (8, "job", "round", "kept"),
        (8, "job", "no_discount_later", "kept"),
        (10, "job", "written", "created"),
        (12, "customer", "open_jobs", "1"),
        (12, "customer", "spent", "10.00"),
    ]


def test_search_finds_chinese_and_latin(shop: Environment, write: Any) -> None:
    write(lambda r: r.create("customer", [{"name": "华星科技有限公司"}, {"name": "Müller & Söhne GmbH"}]))
    with shop.read(SYSTEM) as records:
        for text in ("华星", "科技有限", "mull", "Söhne", "muller gmb"):
            assert len(records.search(text)) == 1, text
        assert records.search("xyz") == []


def test_pages_follow_each_other_without_gaps(shop: Environment, write: Any) -> None:
    write(lambda r: r.create("customer", [{"name": f"c{i % 7}", "vip": i % 3 == 0} for i in range(53)]))
    seen: list[str] = []
    with shop.read(SYSTEM) as records:
        cursor = None
        while True:
            page = records.list(Query("customer", filter="vip", sort=["-name"], limit=5, cursor=cursor))
            seen += [r["id"] for r in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 18
        total = records.list(Query("customer", filter="vip", limit=1, count=True)).total
    assert total == 18


def test_values_that_change_by_themselves_are_worked_out_when_read(shop: Environment, write: Any, time: Any) -> None:
    record = write(lambda r: job(r, due="2026-12-01"))
    assert record["days_left"] == 10
    time.pass_(days=3)
    with shop.read(SYSTEM) as records:
        assert records.get("job", record["id"])["days_left"] == 7
        assert [r["days_left"] for r in records.list(Query("job", fields=["days_left"])).records] == [7]
        assert len(records.list(Query("job", filter="days_left < 8")).records) == 1


def test_a_path_may_end_in_a_value_that_changes_by_itself(
    open_world: Any, time: Any, an_object: Any, a_field: Any
) -> None:
    world = open_world(
        [
            {"kind": "package", "name": "rent", "version": "1.0.0", "label": "Rent"},
            an_object("flat", a_field("until", "date"),
                a_field("left", "formula", returns="number", scale=0, formula="until - TODAY()")),
            an_object("visit", a_field("flat", "lookup", object="flat"),
                a_field("after", "formula", returns="number", scale=0, formula="flat.left + 1"),
                rules=[{"name": "late", "error_when": "flat.left < 0", "message": "Too late."}]),
        ]
    )  # fmt: skip

    def fill(records: RecordService) -> str:
        flats = records.create("flat", [{"name": "a", "until": "2026-12-01"}, {"name": "b", "until": "2026-11-01"}])
        visit = records.create("visit", [{"name": "v", "flat": flats[0]["id"]}])[0]
        assert visit["after"] == 11
        with pytest.raises(ValidationFailed, match="Too late"):
            records.create("visit", [{"name": "w", "flat": flats[1]["id"]}])
        return str(visit["id"])

    visit = world.transact(SYSTEM, fill)
    time.pass_(days=2)
    with world.read(SYSTEM) as records:
        assert records.get("visit", visit)["after"] == 9
        for formula in ("flat.left = 8", "after = 9"):
            assert len(records.list(Query("visit", filter=formula)).records) == 1


def test_a_number_that_changes_by_itself_is_the_same_in_a_filter_as_on_the_record(
    open_world: Any, an_object: Any, a_field: Any
) -> None:
    world = open_world(
        [
            {"kind": "package", "name": "loan", "version": "1.0.0", "label": "Loan"},
            an_object("loan", a_field("start", "date"),
                a_field("used", "formula", returns="percent", scale=1, formula="(TODAY() - start) / 300"),
                a_field("years", "formula", returns="number", scale=2, formula="(TODAY() - start) / 365"),
                a_field("half", "formula", returns="boolean", formula="used >= 0.333")),
        ]
    )  # fmt: skip
    with world.write(SYSTEM) as records:
        loan = records.create("loan", [{"name": "a", "start": "2026-08-13"}])[0]
    assert (loan["used"], loan["years"], loan["half"]) == (Decimal("33.3"), Decimal("0.27"), True)
    with world.read(SYSTEM) as records:
        for formula in ("used = 0.333", "years = 0.27", "half"):
            assert len(records.list(Query("loan", filter=formula)).records) == 1, formula


def test_formulas_and_rules_see_who_and_when(open_world: Any, an_object: Any, a_field: Any, time: Any) -> None:
    world = open_world(
        [
            {"kind": "package", "name": "log", "version": "1.0.0", "label": "Log"},
            an_object("entry",
                a_field("made", "formula", returns="date", formula="DATEVALUE(created_at)"),
                a_field("changed", "formula", returns="date", formula="DATEVALUE(modified_at)"),
                rules=[{"name": "owned", "error_when": "ISBLANK(created_at) || version < 1", "message": "No stamp."}]),
        ]
    )  # fmt: skip
    with world.write(SYSTEM) as records:
        entry = records.create("entry", [{"name": "a"}])[0]
    assert (entry["made"], entry["changed"]) == (date(2026, 11, 21), date(2026, 11, 21))
    time.pass_(days=4)
    with world.write(SYSTEM) as records:
        entry = records.update("entry", [Change(entry["id"], {"name": "b"})])[0]
    assert (entry["made"], entry["changed"], entry["version"]) == (date(2026, 11, 21), date(2026, 11, 25), 2)


def test_amounts_of_different_currencies_are_not_added_up(shop: Environment, write: Any) -> None:
    who = write(customer)["id"]
    write(
        lambda r: [job(r, name=n, customer=who, price="10", price_currency=c) for n, c in (("a", "EUR"), ("b", "EUR"))]
    )
    with shop.read(SYSTEM) as records:
        assert records.aggregate("job", measures=[("sum", "price")]) == [{"sum_price": 20}]
    write(lambda r: job(r, name="c", customer=who, price="10", price_currency="CNY"))
    with shop.read(SYSTEM) as records:
        with pytest.raises(BadRequest, match="CNY and EUR"):
            records.aggregate("job", measures=[("sum", "price")])
        by_currency = records.aggregate("job", group_by=["price_currency"], measures=[("sum", "price")])
        assert {row["price_currency"]: row["sum_price"] for row in by_currency} == {"CNY": 10, "EUR": 20}
        assert records.aggregate("job")[0]["count"] == 3
