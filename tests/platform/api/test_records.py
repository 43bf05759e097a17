"""Records over HTTP, on both databases: what an integrator does all day."""

from __future__ import annotations

from typing import Any

import pytest

FULL: dict[str, Any] = {
    "name": "Tea House 茶馆 ☕",
    "code": "T-1",
    "email": "Hello@Example.com",
    "tier": "gold",
    "interests": ["rice", "tea"],
    "discount": "12.5",
    "credit": "1200.5",
    "credit_currency": "EUR",
    "weight": 3.25,
    "visits": 7,
    "active": True,
    "since": "2026-01-31",
    "seen_at": "2026-11-21T16:00:00+08:00",
    "opens": "08:30",
    "note": "One\nTwo",
    "site": "https://example.com/",
    "extra": {"a": [1, None, {"b": "c"}]},
    "key": "hush",
    "home_city": "Suzhou",
    "home_country": "CN",
}


def test_a_record_comes_back_as_it_was_sent_in_its_exact_form(admin: Any) -> None:
    made = admin.post("/records/customer", FULL)
    got = admin.get(f"/records/customer/{made['id']}")
    assert got == made
    assert {key: got[key] for key in ("discount", "credit", "weight")} == {
        "discount": "12.5",
        "credit": "1200.50",
        "weight": "3.250",
    }
    assert got["email"] == "hello@example.com"
    assert got["interests"] == ["tea", "rice"]
    assert got["seen_at"] == "2026-11-21T08:00:00Z"
    assert got["opens"] == "08:30:00"
    assert got["since"] == "2026-01-31"
    assert got["extra"] == FULL["extra"]
    assert "hush" not in str(got)
    assert (got["version"], got["created_at"]) == (1, "2026-11-21T08:00:00Z")
    assert (got["orders"], got["home_city"], got["home_street"]) == (0, "Suzhou", None)


def test_a_new_record_says_where_it_is_and_which_version_it_has(admin: Any) -> None:
    response = admin.call("POST", "/records/customer", json={"name": "A"})
    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/v1/records/customer/{response.json['id']}"
    assert response.headers["ETag"] == '"1"'


def test_a_list_is_made_whole_or_not_at_all(admin: Any) -> None:
    made = admin.post("/records/customer", [{"name": "A"}, {"name": "B"}])
    assert [record["name"] for record in made["records"]] == ["A", "B"]
    problem = admin.post("/records/customer", [{"name": "C"}, {"visits": "x"}, {"name": "D"}], status=422)
    assert {(e["pointer"], e["code"], e["index"]) for e in problem["errors"]} >= {("/1/visits", "not_an_integer", 1)}
    assert admin.get("/records/customer?count=true")["total"] == 2


def test_all_problems_of_a_record_come_at_once(admin: Any) -> None:
    problem = admin.post(
        "/records/customer", {"since": "yesterday", "tier": "bronze", "visits": 1.5, "nmae": "x"}, status=422
    )
    assert problem["code"] == "validation_failed"
    assert {e["pointer"] for e in problem["errors"]} >= {"/since", "/tier", "/visits", "/nmae"}


def test_a_warning_must_be_acknowledged(admin: Any) -> None:
    problem = admin.post("/records/customer", {"name": "A", "credit": "200000"}, status=422)
    assert [(e["severity"], e["rule"]) for e in problem["errors"]] == [("warning", "big_credit")]
    made = admin.post("/records/customer?acknowledge=true", {"name": "A", "credit": "200000"})
    assert made["credit"] == "200000.00"


def test_a_change_touches_only_what_it_names(admin: Any) -> None:
    made = admin.post("/records/customer", FULL)
    changed = admin.patch(f"/records/customer/{made['id']}", {"visits": 8})
    assert {key for key in made if made[key] != changed[key]} == {"visits", "version"}
    assert changed["version"] == 2


def test_a_stale_change_is_refused_with_both_versions(admin: Any) -> None:
    made = admin.post("/records/customer", {"name": "A"})
    path = f"/records/customer/{made['id']}"
    admin.patch(path, {"name": "B"}, headers={"If-Match": '"1"'})
    problem = admin.patch(path, {"name": "C"}, status=409, headers={"If-Match": '"1"'})
    assert (problem["code"], problem["yours"]) == ("stale_version", 1)
    assert (problem["current"]["name"], problem["current"]["version"]) == ("B", 2)
    assert "deletion_id" not in problem["current"]
    assert admin.patch(path, {"name": "C", "version": 1}, status=409)["code"] == "stale_version"
    admin.delete(path, status=409, headers={"If-Match": '"1"'})
    assert admin.patch(path, {"name": "C"}, headers={"If-Match": "*"})["version"] == 3


def test_many_records_change_at_once_or_none_does(admin: Any) -> None:
    made = admin.post("/records/customer", [{"name": "A"}, {"name": "B"}])["records"]
    changes = [{"id": record["id"], "visits": 5, "version": 1} for record in made]
    changed = admin.patch("/records/customer", changes)["records"]
    assert [record["visits"] for record in changed] == [5, 5]
    problem = admin.patch("/records/customer", [{"id": made[0]["id"], "visits": 6}, changes[1]], status=409)
    assert problem["code"] == "stale_version"
    assert admin.get(f"/records/customer/{made[0]['id']}")["visits"] == 5


def test_a_deleted_record_is_gone_until_it_is_restored(admin: Any) -> None:
    made = admin.post("/records/customer", FULL)
    path = f"/records/customer/{made['id']}"
    admin.delete(path)
    assert admin.get(path, status=404)["code"] == "not_found"
    assert [r["id"] for r in admin.get("/records/customer?deleted=true")["records"]] == [made["id"]]
    assert admin.post(f"{path}/restore", status=200)["name"] == FULL["name"]
    assert admin.get(path)["code"] == "T-1"


def test_a_record_that_others_point_at_cannot_be_deleted(admin: Any) -> None:
    made = admin.post("/records/customer", {"name": "A"})
    admin.post("/records/purchase", {"customer": made["id"], "amount": "10"})
    assert admin.delete(f"/records/customer/{made['id']}", status=409)["code"] == "conflict"


def test_an_external_id_makes_or_changes(admin: Any) -> None:
    first = admin.put("/records/customer/code/X-1", {"name": "A"}, status=201)
    second = admin.put("/records/customer/code/X-1", {"name": "B"})
    assert (second["id"], second["name"], second["code"]) == (first["id"], "B", "X-1")
    admin.put("/records/customer/code/X-2", {"name": "A", "code": "X-3"}, status=400)
    admin.put("/records/customer/name/A", {}, status=400)
    assert admin.put("/records/customer/code/a%2Fb%20c", {"name": "S"}, status=201)["code"] == "a/b c"
    assert admin.put("/records/customer/code/a%0Ab", {"name": "S"}, status=422)["code"] == "validation_failed"
    assert admin.get("/nothing%0Aat/all", status=404)["code"] == "not_found"


def test_a_list_is_made_or_changed_by_external_id(admin: Any) -> None:
    admin.put("/records/customer/code/X-1", {"name": "A"}, status=201)
    answer = admin.put("/records/customer/code", [{"code": "X-2", "name": "N"}, {"code": "X-1", "visits": 3}])
    assert answer["created"] == [True, False]
    assert [record["name"] for record in answer["records"]] == ["N", "A"]


def test_a_list_goes_page_by_page_without_gap_or_repeat(admin: Any) -> None:
    admin.post("/records/customer", [{"name": f"N{i % 4}", "visits": i} for i in range(23)])
    seen: list[int] = []
    path = "/records/customer?sort=-name,visits&limit=5&fields=visits"
    answer = admin.get(path)
    while True:
        seen += [record["visits"] for record in answer["records"]]
        if answer["next_cursor"] is None:
            break
        answer = admin.get(f"{path}&cursor={answer['next_cursor']}")
    assert seen == sorted(range(23), key=lambda i: (-(i % 4), i))


def test_a_filter_is_a_formula(admin: Any) -> None:
    admin.post("/records/customer", [{"name": "Ann", "visits": 3}, {"name": "Bob", "visits": 9}, {"name": "Cid"}])
    names = [r["name"] for r in admin.get("/records/customer?filter=visits > 2 %26%26 name <> 'Bob'")["records"]]
    assert names == ["Ann"]


def test_only_the_fields_asked_for_come_back(admin: Any) -> None:
    made = admin.post("/records/customer", FULL)
    got = admin.get(f"/records/customer/{made['id']}?fields=name,credit")
    assert set(got) == {"id", "version", "name", "credit", "credit_currency"}
    assert admin.get(f"/records/customer/{made['id']}?fields=nmae", status=400)["parameter"] == "fields"


def test_expand_brings_the_records_behind_lookups(admin: Any) -> None:
    customer = admin.post("/records/customer", FULL)
    admin.post("/records/purchase", {"customer": customer["id"], "about": customer["id"], "about_object": "customer"})
    (record,) = admin.get("/records/purchase?expand=customer,about,owner&fields=number")["records"]
    assert record["expanded"]["customer"]["credit"] == "1200.50"
    assert record["expanded"]["about"]["email"] == "hello@example.com"
    assert record["expanded"]["owner"]["name"] == "Ada"
    assert "hush" not in str(record)


def test_a_view_brings_its_filter_and_sort(admin: Any) -> None:
    admin.post("/records/customer", [{"name": "A", "tier": "gold"}, {"name": "B"}, {"name": "C", "tier": "gold"}])
    assert [r["name"] for r in admin.get("/records/customer?view=gold")["records"]] == ["A", "C"]
    assert admin.get("/records/customer?view=glod", status=404)["code"] == "not_found"


def test_figures_per_group_are_exact(admin: Any) -> None:
    one, two = admin.post("/records/customer", [{"name": "A"}, {"name": "B"}])["records"]
    admin.post(
        "/records/purchase", [{"customer": c["id"], "amount": a} for c, a in [(one, "0.10"), (one, "0.20"), (two, "1")]]
    )
    groups = admin.get("/records/purchase/aggregate?group_by=customer&measures=count,sum:amount")["groups"]
    assert {g["customer"]: (g["count"], g["sum_amount"]) for g in groups} == {
        one["id"]: (2, "0.30"),
        two["id"]: (1, "1.00"),
    }
    (total,) = admin.get("/records/purchase/aggregate?measures=max:amount,avg:amount&filter=amount<1")["groups"]
    assert total == {"max_amount": "0.20", "avg_amount": "0.15"}
    assert admin.get(f"/records/customer/{one['id']}")["spent"] == "0.30"


def test_history_tells_who_changed_what(admin: Any) -> None:
    made = admin.post("/records/customer", {"name": "A", "credit": "1"})
    admin.patch(f"/records/customer/{made['id']}", {"credit": "2"})
    entries = admin.get(f"/records/customer/{made['id']}/history")["entries"]
    assert [entry["action"] for entry in entries] == ["updated", "created"]
    assert "2.00" in str(entries[0]["changes"]["credit"])


def test_stages_keep_their_time(shop: Any, admin: Any, time: Any) -> None:
    made = admin.post("/records/purchase", {"stage": "new", "amount": "1"})
    time.pass_(hours=1)
    admin.patch(f"/records/purchase/{made['id']}", {"stage": "paid"})
    first, second = admin.get(f"/records/purchase/{made['id']}/stages")["periods"]
    assert (first["stage"], first["seconds"], second["stage"], second["left_at"]) == ("new", 3600, "paid", None)


def test_search_finds_by_the_beginning_of_a_word_and_by_chinese(admin: Any) -> None:
    made = admin.post("/records/customer", FULL)
    for text in ("hou", "茶馆", "茶"):
        assert [r["id"] for r in admin.get(f"/search?q={text}")["results"]] == [made["id"]]
    assert admin.get("/search?q=nothing")["results"] == []


def test_a_lookup_suggests_what_passes_its_filter(admin: Any) -> None:
    made = admin.post("/records/customer", [{"name": "Anna"}, {"name": "Anton", "active": False}, {"name": "Bob"}])
    found = admin.post("/objects/purchase/lookups/customer", {"text": "an"}, status=200)["results"]
    assert [(r["object"], r["id"], r["title"]) for r in found] == [("customer", made["records"][0]["id"], "Anna")]


def test_a_lookup_filter_sees_the_record_at_hand(admin: Any) -> None:
    admin.post("/records/purchase", [{"amount": "5"}, {"amount": "50"}])

    def suggested(record: Any) -> list[str]:
        answer = admin.post("/objects/purchase/lookups/replaces", {"record": record}, status=200)
        return [found["title"] for found in answer["results"]]

    assert suggested({"amount": "10.50"}) == ["P-0001"]
    assert suggested({"amount": 99, "customer": None, "nonsense": [1]}) == ["P-0001", "P-0002"]
    for unusable in ({}, {"amount": "many"}, {"amount": [1]}, {"amount": None}):
        assert suggested(unusable) == []
    for body in ({"record": []}, {"text": 7}, {"limit": 0}, {"limit": "10"}, {"nonsense": 1}, {"text": "x" * 201}):
        admin.post("/objects/purchase/lookups/replaces", body, status=422)
    admin.post("/objects/purchase/lookups/amount", {}, status=404)
    assert admin.post("/objects/purchase/lookups/replaces", {"text": "\"' OR \\"}, status=200)["results"] == []


@pytest.mark.parametrize("path", ["/objects", "/objects/customer", "/me"])
def test_what_there_is_can_be_asked(admin: Any, path: str) -> None:
    assert admin.get(path)


def test_an_object_describes_itself_in_the_readers_language(admin: Any) -> None:
    described = admin.get("/objects/customer", headers={"Accept-Language": "zh-CN,en;q=0.5"})
    assert described["label"] == "客户"
    fields = {field["name"]: field for field in described["fields"]}
    assert fields["name"]["label"] == "名称"
    assert [part["key"] for part in fields["credit"]["parts"]] == ["credit", "credit_currency"]
    assert [choice["value"] for choice in fields["tier"]["choices"]] == ["gold", "silver"]
    assert fields["spent"]["rollup"] == {"of": "purchase", "via": "customer", "operation": "sum", "field": "amount"}
    assert not fields["spent"]["parts"][0]["writable"]


def test_a_rules_message_comes_in_the_readers_language(admin: Any) -> None:
    problem = admin.post(
        "/records/customer", {"name": "A", "visits": 2000}, status=422, headers={"Accept-Language": "zh"}
    )
    assert [(e["message"], e["pointer"], e["rule"]) for e in problem["errors"]] == [
        ("没有人来得这么频繁。", "/visits", "no_early_visit")
    ]
