"""Pipelines with gates: moves, roles, tasks, reasons, automatic moves, deadlines, on every way in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound, RatoonError, ValidationFailed
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.order import explain
from ratoon.platform.records.reading import Query

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.fixture
def documents(an_object: Any, a_field: Any) -> list[dict[str, Any]]:
    forecast = [{"value": v, "label": v.title()} for v in ("pipeline", "commit", "closed", "omitted")]
    reasons = [{"value": v, "label": v.title()} for v in ("price", "timing")]
    return [
        {"kind": "package", "name": "sales", "version": "1.0.0", "label": "Sales"},
        an_object(
            "deal",
            a_field("stage", "stage", track_history=True),
            a_field("amount", "currency"),
            a_field("kind", "text"),
            a_field("signed", "boolean"),
            a_field("probability", "percent", scale=0),
            a_field("forecast", "picklist", values=forecast),
            a_field("reason", "picklist", values=reasons),
            a_field("open_items", "rollup", of="item", via="deal", operation="count", filter="NOT(done)"),
            a_field("items", "rollup", of="item", via="deal", operation="count"),
            rules=[{"name": "small", "error_when": "amount > 1000000", "message": "Too big.", "field": "amount"}],
        ),
        an_object("item", a_field("deal", "lookup", object="deal", on_delete="cascade"), a_field("done", "boolean")),
        {
            "kind": "pipeline", "object": "deal", "name": "sales", "label": "Sales", "order": 2,
            "loss_reason": "reason",
            "carry": {"probability": "probability", "forecast": "forecast"},
            "stages": [
                {"name": "new", "label": "New", "probability": 10, "forecast": "pipeline", "expected_days": 5,
                 "checklist": ["Say hello", {"name": "need", "label": "Confirm the need", "required": True}],
                 "next": ["offer", "lost"]},
                {"name": "offer", "label": "Offer", "probability": 60, "forecast": "commit",
                 "required_fields": ["amount"],
                 "entry": [{"error_when": "ISBLANK(kind)", "message": "Say what kind of deal it is."}],
                 "advance": [{"when": "AND(items > 0, open_items = 0)", "to": "review"},
                             {"when": "signed", "to": "won"}],
                 "next": ["new", "review", {"stage": "won", "roles": ["boss"]}, "lost"]},
                {"name": "review", "label": "Review", "probability": 80, "advance": [{"when": "signed", "to": "won"}]},
                {"name": "won", "label": "Won", "category": "won", "probability": 100, "forecast": "closed",
                 "entry": [{"error_when": "ISBLANK(amount)", "message": "A won deal has an amount."}], "next": []},
                {"name": "lost", "label": "Lost", "category": "lost", "probability": 0, "forecast": "omitted"},
            ],
        },
        {
            "kind": "pipeline", "object": "deal", "name": "renewal", "label": "Renewal", "order": 1,
            "when": "kind = 'renewal'",
            "stages": [{"name": "due", "label": "Due", "expected_days": 0}, {"name": "won", "label": "Won"}],
        },
        {"kind": "role", "name": "boss", "label": "Boss", "objects": {"*": ["create", "read", "edit", "delete"]}},
        {"kind": "role", "name": "rep", "label": "Rep", "objects": {"*": ["create", "read", "edit", "delete"]}},
    ]  # fmt: skip


@pytest.fixture
def world(open_world: Any, documents: Any) -> Environment:
    return open_world(documents)  # type: ignore[no-any-return]


def actor(world: Environment, role: str) -> Actor:
    values = {"name": role, "email": f"{role}@x.cn"}
    (user,) = world.transact(SYSTEM, lambda r: r.create("user", [values]))
    return Actor(id=user["id"], name=role, roles=frozenset({role}))


def deal(world: Environment, actor: Actor = SYSTEM, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = world.transact(actor, lambda r: r.create("deal", [{"name": "D", **values}]))[0]
    return made


def put(world: Environment, record: dict[str, Any], actor: Actor = SYSTEM, **values: Any) -> dict[str, Any]:
    changed: dict[str, Any] = world.transact(actor, lambda r: r.update("deal", [Change(record["id"], values)]))[0]
    return changed


def tick(world: Environment, record: dict[str, Any], task: str, done: bool = True) -> Any:
    return world.transact(SYSTEM, lambda r: r.tick("deal", record["id"], task, done))


def refused(world: Environment, record: dict[str, Any], actor: Actor = SYSTEM, **values: Any) -> list[str]:
    with pytest.raises(ValidationFailed) as error:
        put(world, record, actor, **values)
    return sorted(p.text() for p in error.value.problems)


def stays(world: Environment, record: dict[str, Any]) -> list[tuple[str, bool, int]]:
    with world.read(SYSTEM) as records:
        found = records.stage_history("deal", record["id"])
    return [(p["stage"], p["left_at"] is None, p["seconds"]) for p in found]


def test_a_refused_move_tells_everything_that_is_missing_at_once(world: Environment) -> None:
    record = deal(world)
    assert refused(world, record, stage="offer") == [
        "Amount is required in stage Offer.",
        "Still to do in New: Confirm the need.",
        "To enter stage Offer: Say what kind of deal it is.",
    ]
    said = refused(world, record, stage="won")
    assert {"Still to do in New: Confirm the need.", "To enter stage Won: A won deal has an amount."} <= set(said)


def test_required_tasks_gate_going_on_but_not_giving_up_or_going_back(world: Environment) -> None:
    record = deal(world, kind="a", amount="5")
    assert refused(world, record, stage="offer") == ["Still to do in New: Confirm the need."]
    assert [(t["label"], t["done"], t["required"]) for t in tick(world, record, "need")] == [
        ("Say hello", False, False),
        ("Confirm the need", True, True),
    ]
    record = put(world, record, stage="offer")
    record = put(world, record, stage="new")
    tick(world, record, "need", done=False)
    assert refused(world, record, stage="offer")
    assert put(world, record, stage="lost", reason="price")["stage"] == "lost"
    with pytest.raises(NotFound):
        tick(world, record, "need")


def test_ticks_are_in_the_history_of_the_record(world: Environment, time: Any) -> None:
    record = deal(world, kind="a", amount="5")
    tick(world, record, "need")
    tick(world, record, "need")  # nothing changed
    time.pass_(minutes=1)
    tick(world, record, "need", done=False)
    with world.read(SYSTEM) as records:
        told = [(e["action"], e["changes"]) for e in records.history("deal", record["id"]) if "tick" in e["action"]]
    assert told == [("unticked", {"new.need": [True, False]}), ("ticked", {"new.need": [False, True]})]


def test_a_move_into_a_lost_stage_asks_for_the_reason(world: Environment) -> None:
    assert refused(world, deal(world), stage="lost") == ["Reason is required in stage Lost."]


def test_moves_may_be_kept_for_roles(world: Environment) -> None:
    boss, rep = actor(world, "boss"), actor(world, "rep")
    record = deal(world, stage="offer", kind="a", amount="5")
    assert refused(world, record, rep, stage="won") == ["You may not move this from Offer to Won."]
    with world.read(rep) as records:
        path = {s["name"]: s["allowed"] for s in records.stage_path("deal", record)}
    assert path == {"new": True, "offer": False, "review": True, "won": False, "lost": True}
    assert put(world, record, boss, stage="won")["stage"] == "won"


def test_what_the_stage_says_is_carried_to_the_record(world: Environment) -> None:
    record = deal(world, kind="a", amount="5")
    assert (record["probability"], record["forecast"]) == (Decimal(10), "pipeline")
    tick(world, record, "need")
    record = put(world, record, stage="offer", probability="35")
    assert (record["probability"], record["forecast"]) == (Decimal(35), "commit")
    record = put(world, record, name="still the same")
    assert record["probability"] == Decimal(35)
    record = put(world, record, stage="lost", reason="timing")
    assert (record["probability"], record["forecast"]) == (Decimal(0), "omitted")


def test_records_that_are_overdue_in_their_stage_are_found_by_a_filter(world: Environment, time: Any) -> None:
    record = deal(world)
    assert (record["stage_since"], record["stage_due"]) == (NOW, NOW + timedelta(days=5))
    late = Query("deal", filter="stage_due < NOW()", sort=["-stage_due"])
    with world.read(SYSTEM) as records:
        assert records.list(late).records == []
    time.pass_(days=6)
    with world.read(SYSTEM) as records:
        assert [r["id"] for r in records.list(late).records] == [record["id"]]
    record = put(world, record, stage="lost", reason="price")
    assert (record["stage_since"], record["stage_due"]) == (time.now, None)
    with pytest.raises(ValidationFailed):
        put(world, record, stage_due="2030-01-01T00:00:00Z")


def test_the_pipeline_is_chosen_by_formula_or_by_hand(world: Environment) -> None:
    assert deal(world, kind="renewal")["stage"] == "due"
    assert deal(world, kind="renewal", stage_pipeline="sales")["stage"] == "new"
    record = deal(world)
    moved = put(world, record, stage_pipeline="renewal")
    assert (moved["stage_pipeline"], moved["stage"]) == ("renewal", "due")


def test_a_record_moves_on_by_itself_when_it_is_ready(world: Environment, time: Any) -> None:
    record = deal(world, stage="offer", kind="a", amount="5")
    items = [{"name": n, "deal": record["id"]} for n in "ab"]
    made = world.transact(SYSTEM, lambda r: r.create("item", items))
    time.pass_(days=1)
    world.transact(SYSTEM, lambda r: r.update("item", [Change(i["id"], {"done": True}) for i in made]))
    with world.read(SYSTEM) as records:
        assert records.get("deal", record["id"])["stage"] == "review", "a rollup made it ready"
    record = put(world, record, signed=True)
    assert record["stage"] == "won"
    assert stays(world, record) == [("offer", False, 86400), ("review", False, 0), ("won", True, 0)]


def test_one_save_may_move_a_record_through_several_stages(world: Environment) -> None:
    record = deal(world, stage="offer", kind="a", amount="5")
    item = {"name": "i", "deal": record["id"], "done": True}
    world.transact(
        SYSTEM, lambda r: (r.create("item", [item]), r.update("deal", [Change(record["id"], {"signed": True})]))
    )
    assert [s[0] for s in stays(world, record)] == ["offer", "review", "won"]


def test_an_automatic_move_that_is_refused_leaves_the_save_alone_and_says_why(world: Environment) -> None:
    record = deal(world, stage="review", amount="5")
    with world.write(SYSTEM) as records:
        changed = records.update("deal", [Change(record["id"], {"signed": True, "amount": None})])[0]
        notices = [p.text() for p in records.notices]
    assert (changed["stage"], changed["signed"]) == ("review", True)
    assert notices == ["It did not move on to Won by itself: A won deal has an amount."]
    assert put(world, record, amount="7")["stage"] == "won"


def test_records_whose_time_has_come_are_moved_once_an_hour(
    open_world: Any, documents: list[dict[str, Any]], time: Any
) -> None:
    from ratoon.platform.jobs import drain

    renewal = next(d for d in documents if d.get("name") == "renewal")
    renewal["stages"][0]["advance"] = [{"when": "stage_due < NOW()", "to": "won"}]
    world = open_world(documents)
    late, early = deal(world, kind="renewal"), deal(world, kind="a")
    world.jobs.tick(world, time.now)
    drain(world)
    time.pass_(hours=3)
    world.jobs.tick(world, time.now)
    drain(world)
    with world.read(SYSTEM) as records:
        assert (records.get("deal", late["id"])["stage"], records.get("deal", early["id"])["stage"]) == ("won", "new")
        assert [p["stage"] for p in records.stage_history("deal", late["id"])] == ["due", "won"]


def test_explain_and_the_trace_show_gates_and_moves(world: Environment) -> None:
    steps = explain(world.registry, "deal", "updated", world.reactions)
    shown = {s.number: {(p.kind, p.name): p.detail for p in s.parts} for s in steps}
    assert shown[4][("stage to field", "sales.probability")] == "probability"
    assert "next: new, review, won (boss), lost" in shown[7][("stage", "sales.offer")]
    assert "to do: Confirm the need" in shown[7][("stage", "sales.new")]
    assert shown[7][("stage", "sales.lost")] == "requires reason"
    assert shown[12][("moves on", "sales.review")] == "to won when signed"
    record = deal(world, stage="review", amount="5")
    trace: list[Any] = []
    with world.write(SYSTEM, trace=trace) as records:
        records.update("deal", [Change(record["id"], {"signed": True})])
    told = [(t.step, t.depth, t.what, t.outcome) for t in trace]
    assert told == [
        (8, 0, "small", "kept"),
        (10, 0, "written", "updated"),
        (4, 1, "sales.won", "probability = 100"),
        (4, 1, "sales.won", "forecast = closed"),
        (8, 1, "small", "kept"),
        (12, 1, "move on to won", "moved"),
        (10, 1, "written", "updated"),
        (8, 0, "small", "kept"),
        (13, 0, "rules again", ""),
    ]


def test_expected_days_that_change_change_what_is_overdue(
    world: Environment, documents: Any, time: Any, apply_documents: Any
) -> None:
    record = deal(world)
    for document in documents:
        if document.get("name") == "sales" and document["kind"] == "pipeline":
            document["stages"][0]["expected_days"] = 1
    apply_documents(world, documents)
    with world.read(SYSTEM) as records:
        assert records.get("deal", record["id"])["stage_due"] == NOW + timedelta(days=1)


def test_an_older_database_gets_the_columns_and_what_the_history_says(world: Environment, time: Any) -> None:
    from sqlalchemy import text

    from ratoon.platform.packages.stage_times import complete_stage_columns

    record = deal(world)
    time.pass_(days=2)
    deal(world, name="E", stage_pipeline="renewal")
    with world.database.write() as connection:
        for column in ("stage_since", "stage_due"):
            for index in [
                row[0]
                for row in connection.execute(
                    text("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE :part")
                    if world.database.dialect == "sqlite"
                    else text("SELECT indexname FROM pg_indexes WHERE indexdef LIKE :part"),
                    {"part": f"%deal%{column}%"},
                )
            ]:
                connection.execute(text(f'DROP INDEX "{index}"'))
            connection.execute(text(f"ALTER TABLE deal DROP COLUMN {column}"))
        connection.execute(text("DELETE FROM ratoon_setting WHERE name = 'stage_columns'"))
        registry = world.registry
        assert complete_stage_columns(connection, lambda: registry, world.database.dialect) == ["deal"]
        assert complete_stage_columns(connection, lambda: registry, world.database.dialect) == []
    with world.read(SYSTEM) as records:
        found = records.get("deal", record["id"])
    assert (found["stage_since"], found["stage_due"]) == (NOW, NOW + timedelta(days=5))


@pytest.fixture
def apply_documents() -> Any:
    from ratoon.platform.metadata.documents import canonical, place
    from ratoon.platform.packages import Target, apply_package

    def apply(world: Environment, documents: list[dict[str, Any]]) -> None:
        source: Any = {place(str(d["kind"]), d): canonical(d).encode() for d in documents}
        apply_package(Target.of(world), source, message="test", allow_destructive=True)

    return apply


STEP = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from(["new", "offer", "review", "won", "lost", "due", "nonsense"]),
        "stage_pipeline": st.sampled_from(["sales", "renewal"]),
        "amount": st.sampled_from([None, "5", "2000000"]),
        "kind": st.sampled_from([None, "a", "renewal"]),
        "signed": st.booleans(),
        "reason": st.sampled_from([None, "price"]),
    },
)


@settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=st.lists(st.tuples(st.lists(STEP, min_size=3, max_size=3), st.booleans(), st.booleans()), max_size=6))
def test_any_moves_leave_history_deadlines_and_rollups_right_and_bulk_is_one_by_one(
    world: Environment, time: Any, steps: Any
) -> None:
    """Two groups of three records go through the same: one in calls of three, one record by record."""
    bulk = [deal(world, name=f"b{i}")["id"] for i in range(3)]
    single = [deal(world, name=f"s{i}")["id"] for i in range(3)]
    for changes, ticked, item in steps:
        time.pass_(hours=7)
        for group in (bulk, single):
            for record in group:
                if ticked:
                    _quietly(world, lambda r, record=record: r.tick("deal", record, "need"))
                if item:
                    _quietly(
                        world, lambda r, record=record: r.create("item", [{"name": "i", "deal": record, "done": True}])
                    )
        good = []
        for n, (record, values) in enumerate(zip(single, changes, strict=True)):
            if _quietly(world, lambda r, record=record, values=values: r.update("deal", [Change(record, values)])):
                good.append(n)
        _quietly(
            world, lambda r, good=good, changes=changes: r.update("deal", [Change(bulk[n], changes[n]) for n in good])
        )
    keys = (
        "stage",
        "stage_pipeline",
        "stage_since",
        "stage_due",
        "probability",
        "forecast",
        "items",
        "amount",
        "signed",
    )
    with world.read(SYSTEM) as records:
        for one, other in zip(bulk, single, strict=True):
            a, b = records.get("deal", one), records.get("deal", other)
            assert {k: a[k] for k in keys} == {k: b[k] for k in keys}
            for row in (a, b):
                periods = records.stage_history("deal", row["id"])
                running = [p for p in periods if p["left_at"] is None]
                assert [(p["pipeline"], p["stage"]) for p in running] == [(row["stage_pipeline"], row["stage"])]
                assert running[0]["entered_at"] == row["stage_since"]
                for before, after in itertools.pairwise(periods):
                    assert before["left_at"] == after["entered_at"]
                pipeline = world.registry["deal"].pipeline(row["stage_pipeline"])
                assert pipeline is not None
                assert row["stage_due"] == pipeline.by_name[row["stage"]].due(row["stage_since"])


def _quietly(world: Environment, work: Any) -> bool:
    try:
        world.transact(SYSTEM, work)
    except RatoonError:
        return False
    return True


def test_the_check_names_what_is_wrong_with_a_pipeline(documents: Any) -> None:
    from ratoon.platform.errors import MetadataRefused
    from ratoon.platform.fields import builtin_types
    from ratoon.platform.metadata.compile import compile_registry
    from ratoon.platform.metadata.documents import Document, place

    pipeline = next(d for d in documents if d.get("loss_reason"))
    pipeline["carry"] = {"probability": "kind", "forecast": "forecsat"}
    pipeline["stages"][0]["advance"] = [{"when": "amount", "to": "offre"}, {"when": "TRUE", "to": "new"}]
    pipeline["stages"][1]["next"] = [{"stage": "wun", "roles": ["bos"]}]
    pipeline["stages"][0]["checklist"] = [{"name": "need_"}]
    made = [Document(place(str(d["kind"]), d), str(d["kind"]), d, "sales") for d in documents]
    with pytest.raises(MetadataRefused) as refused:
        compile_registry(made, types=builtin_types())
    found = {(f.pointer, f.code) for f in refused.value.findings}
    assert found == {
        ("/carry/forecast", "unknown_field"),
        ("/carry/probability", "wrong_type"),
        ("/stages/0/checklist/0/name", "bad_name"),
        ("/stages/1/next/0/stage", "unknown_stage"),
        ("/stages/1/next/0/roles/0", "unknown_role"),
        ("/stages/0/advance/0/when", "formula_wrong_type"),
        ("/stages/0/advance/0/to", "unknown_stage"),
        ("/stages/0/advance/1/to", "circular"),
    }
