"""Duplicate rules: what counts as the same is found on every way in, and nothing is given away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError, ValidationFailed
from ratoon.platform.metadata.matching import Match
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.order import explain
from ratoon.platform.records.reading import Query

ENDINGS = ("Ltd", "Co", "Inc", "GmbH", "有限公司", "股份有限公司", "公司")


def rule(name: str, *match: dict[str, Any], action: str = "warn", **more: Any) -> dict[str, Any]:
    return {
        "kind": "duplicate", "object": "firm", "name": name, "label": name.title(), "match": list(match),
        "action": action, **more,
    }  # fmt: skip


@pytest.fixture
def firms(an_object: Any, a_field: Any) -> list[dict[str, Any]]:
    fields = [a_field("city", "text"), a_field("mail", "email"), a_field("tel", "phone"), a_field("shut", "boolean")]
    return [
        {"kind": "package", "name": "firms", "version": "1.0.0", "label": "Firms"},
        an_object("firm", *fields),
        rule("company", {"field": "name", "as": "company", "drop": list(ENDINGS)}, {"field": "city"},
             condition="NOT(shut)", message="Known already: {titles}"),
        rule("mail", {"field": "mail"}, action="block"),
        {"kind": "role", "name": "own", "label": "Own", "objects": {"firm": ["create", "read", "edit", "delete"]},
         "fields": {}, "rows": {"firm": "owner = $user.id"}},
    ]  # fmt: skip


@pytest.fixture
def world(open_world: Any, firms: list[dict[str, Any]]) -> Environment:
    return open_world(firms)  # type: ignore[no-any-return]


def create(world: Environment, *values: dict[str, Any], actor: Actor = SYSTEM, acknowledge: bool = False) -> Any:
    return world.transact(actor, lambda r: r.create("firm", list(values), acknowledge=acknowledge))


def refused(world: Environment, *values: dict[str, Any], actor: Actor = SYSTEM) -> list[tuple[Any, ...]]:
    with pytest.raises(ValidationFailed) as error:
        create(world, *values, actor=actor)
    return [(p.index, p.rule, p.severity, p.text()) for p in error.value.problems]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Acme Ltd.", "ACME  Co., Ltd", True),
        ("北京阿克米科技有限公司", "北京阿克米科技", True),
        ("北京阿克米股份有限公司", "北京阿克米有限公司", True),
        ("Tabasco", "Tabas", False),
        ("Co", "Ltd", False),
        ("ＡＣＭＥ", "acme", True),
        ("Acme Nord", "Acme Süd", False),
    ],
)
def test_company_names_are_the_same_without_their_endings(one: str, other: str, same: bool) -> None:
    match = Match("name", "company", drop=("股份有限公司", "有限公司", "公司", "gmbh", "ltd", "inc", "co"))
    assert (match.comparable(one) == match.comparable(other)) is same


@pytest.mark.parametrize(
    ("match", "value", "found"),
    [
        (Match("x", "phone", digits=9), "+86 138-0013-8000", "800138000"),
        (Match("x", "phone"), "(030) 12 34", "301234"),
        (Match("x", "domain"), "Lin@Example.COM", "example.com"),
        (Match("x", "domain"), "https://www.example.com/a?b", "example.com"),
        (Match("x", "domain", ignore=frozenset({"qq.com"})), "1@qq.com", None),
        (Match("x", "text"), "  A-b  c. ", "abc"),
        (Match("x", "text"), "—", None),
        (Match("x", "exact"), None, None),
    ],
)
def test_values_are_made_comparable(match: Match, value: Any, found: Any) -> None:
    assert match.comparable(value) == found


def test_a_duplicate_is_warned_of_and_named_and_may_be_acknowledged(world: Environment) -> None:
    create(world, {"name": "Acme Ltd", "city": "Berlin"})
    problems = refused(world, {"name": "ACME", "city": " berlin"})
    assert problems == [(0, "company", "warning", "Known already: Acme Ltd")]
    assert create(world, {"name": "ACME", "city": "berlin"}, acknowledge=True)
    assert create(world, {"name": "ACME", "city": "Bonn"})
    assert create(world, {"name": "ACME", "city": "Berlin", "shut": True}), "the condition is false"
    assert create(world, {"name": "ACME"}), "a blank field says nothing"


def test_a_blocked_duplicate_cannot_be_acknowledged(world: Environment) -> None:
    create(world, {"name": "a", "mail": "Lin@x.cn"})
    with pytest.raises(ValidationFailed):
        create(world, {"name": "b", "mail": "lin@X.cn"}, acknowledge=True)


def test_one_call_finds_duplicates_within_itself(world: Environment) -> None:
    problems = refused(world, {"name": "a", "mail": "a@x.cn"}, {"name": "b"}, {"name": "c", "mail": "A@x.cn"})
    assert problems == [(2, "mail", "error", "This is the same as record 1 of this call.")]


def test_changes_are_asked_only_when_what_is_compared_changes(world: Environment) -> None:
    one, two = create(world, {"name": "a", "mail": "a@x.cn"}, {"name": "b", "mail": "b@x.cn"})
    change = world.transact
    change(SYSTEM, lambda r: r.update("firm", [Change(one["id"], {"city": "Bonn", "mail": "A@x.cn"})]))
    with pytest.raises(ValidationFailed):
        change(SYSTEM, lambda r: r.update("firm", [Change(two["id"], {"mail": "a@X.cn"})]))
    change(SYSTEM, lambda r: r.update("firm", [Change(one["id"], {"mail": None})]))
    change(SYSTEM, lambda r: r.update("firm", [Change(two["id"], {"mail": "a@X.cn"})]))


def test_deleted_records_are_no_duplicates_until_they_come_back(world: Environment) -> None:
    (one,) = create(world, {"name": "a", "mail": "a@x.cn"})
    world.transact(SYSTEM, lambda r: r.delete("firm", [one["id"]]))
    (two,) = create(world, {"name": "b", "mail": "a@x.cn"})
    world.transact(SYSTEM, lambda r: r.delete("firm", [two["id"]]))
    world.transact(SYSTEM, lambda r: r.restore("firm", [one["id"]]))
    assert refused(world, {"name": "c", "mail": "a@x.cn"})[0][3] == "This looks the same as a."


def test_what_somebody_may_not_see_is_not_given_away(
    open_world: Any, firms: list[dict[str, Any]], user_of: Any
) -> None:
    more = rule("tel", {"field": "tel"}, action="block", scope="all")
    world = open_world([*firms, more])
    lin, kim = user_of(world, "lin", "own"), user_of(world, "kim", "own")
    create(world, {"name": "Secret", "mail": "a@x.cn", "tel": "1234567"}, actor=lin)
    assert create(world, {"name": "Mine", "mail": "a@x.cn"}, actor=kim), "scope visible: it is not there for kim"
    problems = refused(world, {"name": "Mine", "tel": "123 45 67"}, actor=kim)
    assert [(p[1], p[3]) for p in problems] == [("tel", "There is a record like this already, which you may not see.")]
    assert "Secret" in refused(world, {"name": "b", "tel": "1234567"}, actor=lin)[0][3]


@pytest.fixture
def user_of() -> Any:
    def make(world: Environment, name: str, role: str) -> Actor:
        values = {"name": name, "email": f"{name}@x.cn"}
        (user,) = world.transact(SYSTEM, lambda r: r.create("user", [values]))
        return Actor(id=user["id"], name=name, roles=frozenset({role}))

    return make


def test_two_at_once_do_not_both_bring_a_blocked_duplicate(world: Environment) -> None:
    def one(name: str) -> Any:
        try:
            return create(world, {"name": name, "mail": "a@x.cn"})
        except RatoonError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, "abcd"))
    assert sum(isinstance(a, ValidationFailed) for a in answers) == 3, answers


def test_bulk_and_one_by_one_agree(world: Environment) -> None:
    values = [{"name": f"Firm {n % 7} Ltd", "city": "Bonn", "mail": f"m{n % 11}@x.cn"} for n in range(30)]
    bulk = {(p[0], p[1]) for p in refused(world, *values)}
    single = set()
    for n, value in enumerate(values):
        try:
            create(world, value)
        except ValidationFailed as error:
            single |= {(n, p.rule) for p in error.problems}
            if all(p.severity == "warning" for p in error.problems):
                create(world, value, acknowledge=True)
    assert single == {(n, r) for n, r in bulk if r == "mail" or n >= 7}


def test_a_new_rule_knows_the_records_that_are_there(
    open_world: Any, firms: list[dict[str, Any]], add_package: Any
) -> None:
    world = open_world(firms)
    create(world, {"name": "Acme", "tel": "030 123"})
    add_package(world, [*firms[:1], *firms[1:], rule("tel", {"field": "tel"}, action="block")])
    assert refused(world, {"name": "b", "tel": "30-123"})[0][1] == "tel"


@pytest.fixture
def add_package() -> Any:
    from ratoon.platform.metadata.documents import canonical, place
    from ratoon.platform.packages import Target, apply_package

    def add(world: Environment, documents: list[dict[str, Any]]) -> None:
        source: Any = {place(str(d["kind"]), d): canonical(d).encode() for d in documents}
        apply_package(Target.of(world), source, message="test", allow_destructive=True)

    return add


def test_explain_and_the_trace_show_duplicate_rules_in_their_place(world: Environment) -> None:
    steps = explain(world.registry, "firm", "created", world.reactions)
    shown = {s.number: [(p.kind, p.name, p.detail) for p in s.parts] for s in steps}
    assert shown[9] == [
        ("duplicate rule (warn)", "company", "name as company + city as text"),
        ("duplicate rule (block)", "mail", "mail as email"),
    ]
    trace: list[Any] = []
    with world.write(SYSTEM, trace=trace) as records:
        records.create("firm", [{"name": "a", "mail": "a@x.cn"}])
    assert [(t.step, t.what, t.outcome) for t in trace if t.step == 9] == [(9, "mail", "none")]


def test_an_import_of_many_asks_on_sets(world: Environment) -> None:
    made = create(world, *[{"name": f"n{n}", "mail": f"{n}@x.cn"} for n in range(2000)])
    assert len(made) == 2000
    with world.read(replace(SYSTEM)) as records:
        assert len(records.list(Query("firm", limit=1)).records) == 1


def test_the_check_names_what_is_wrong(an_object: Any, a_field: Any, findings_of: Any) -> None:
    found = findings_of(
        [
            {"kind": "package", "name": "p", "version": "1.0.0", "label": "P"},
            an_object("firm", a_field("mail", "email"), a_field("story", "textarea")),
            rule("a", {"field": "mial"}),
            rule("b", {"field": "story"}),
            rule("c", {"field": "mail", "as": "phone"}),
            rule("d", {"field": "mail", "drop": ["Ltd"]}),
            rule("e", {"field": "mail"}, condition="nonsense > 1"),
        ]
    )
    codes = {(f.file.rpartition("/")[2], f.pointer, f.code) for f in found}
    assert codes == {
        ("a.json", "/match/0/field", "unknown_field"),
        ("b.json", "/match/0/field", "wrong_type"),
        ("c.json", "/match/0/as", "wrong_type"),
        ("d.json", "/match/0/drop", "unknown_key"),
        ("e.json", "/condition", "formula_unknown_name"),
    }


@pytest.fixture
def findings_of() -> Any:
    from ratoon.platform.errors import MetadataRefused
    from ratoon.platform.fields import builtin_types
    from ratoon.platform.metadata.compile import compile_registry
    from ratoon.platform.metadata.documents import Document, place

    def check(documents: list[dict[str, Any]]) -> Any:
        made = [Document(place(str(d["kind"]), d), str(d["kind"]), d, "p") for d in documents]
        with pytest.raises(MetadataRefused) as refused:
            compile_registry(made, types=builtin_types())
        return refused.value.findings

    return check
