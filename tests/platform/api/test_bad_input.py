"""Everything a careless or hostile client may send: a problem document with a code, 4xx, and nothing half-written."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.platform.api.body import DuplicateKey, parse
from ratoon.platform.api.problems import CONTENT_TYPE, STATUS

SOMEBODY = "01900000-0000-7000-8000-00000000ffff"
JSON = {"Content-Type": "application/json"}


def refused(response: Any, code: str) -> Any:
    """The problem document; checks that it is one."""
    assert response.content_type == CONTENT_TYPE, response.get_data(as_text=True)
    problem = response.json
    assert (problem["code"], response.status_code, problem["status"]) == (code, STATUS[code][0], STATUS[code][0])
    assert set(problem) >= {"type", "title", "detail", "errors"}
    return problem


BAD_BODIES: Any = [
    (b"", "malformed_json"),
    (b"{", "malformed_json"),
    (b'{"name": "A",}', "malformed_json"),
    (b'{"name": NaN}', "malformed_json"),
    (b'{"visits": Infinity}', "malformed_json"),
    (b'{"visits": 1e400}', "malformed_json"),
    (b'{"visits": 1' + b"0" * 400 + b"}", "malformed_json"),
    (b'{"name": "\\ud800"}', "malformed_json"),
    (b'{"name": "\xff"}', "malformed_json"),
    (b'{"name": "A", "name": "B"}', "duplicate_key"),
    (b'[{"name": "A"}, {"name": "B", "extra": {"x": 1, "x": 2}}]', "duplicate_key"),
    (b"[" * 5000 + b"]" * 5000, "malformed_json"),
    (b'{"a":' * 1000 + b"1" + b"}" * 1000, "malformed_json"),
    (b"null", "malformed_json"),
    (b"7", "malformed_json"),
    (b'"name"', "malformed_json"),
    (b'[{"name": "A"}, 3]', "malformed_json"),
]


def test_a_body_that_is_no_record_is_refused(admin: Any, subtests: Any) -> None:
    for body, code in BAD_BODIES:
        with subtests.test(case=str(body)[:60]):
            refused(admin.call("POST", "/records/customer", data=body, headers=JSON), code)
            assert admin.get("/records/customer?count=true")["total"] == 0


def test_a_duplicate_is_seen_in_a_body_full_of_colons(admin: Any) -> None:
    body = b'{"seen_at": "2026-11-21T08:00:00Z", "name": "a:b", "name": "c"}'
    assert (
        refused(admin.call("POST", "/records/customer", data=body, headers=JSON), "duplicate_key")["parameter"]
        == "name"
    )
    fine = b'{"seen_at": "2026-11-21T08:00:00Z", "name" : "a:b", "extra": {"name": ":", "x": [{"name": 1}]}}'
    assert admin.call("POST", "/records/customer", data=fine, headers=JSON).status_code == 201


OTHER_KINDS: Any = ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]


def test_a_body_must_say_that_it_is_json(admin: Any, subtests: Any) -> None:
    for kind in OTHER_KINDS:
        with subtests.test(case=str(kind)[:60]):
            headers = {"Content-Type": kind}
            refused(
                admin.call("POST", "/records/customer", data=b'{"name": "A"}', headers=headers),
                "unsupported_media_type",
            )


def test_a_body_larger_than_the_limit_is_refused_unread(admin: Any, shop: Any) -> None:
    limit = shop.environment.settings.max_body_bytes
    refused(admin.call("POST", "/records/customer", data=b" " * (limit + 1), headers=JSON), "body_too_large")


BAD_VALUES: Any = [
    ({"name": "x" * 81}, "name", "too_long"),
    ({"name": ["A"]}, "name", None),
    ({"name": {"a": 1}}, "name", None),
    ({"name": "A\u0000B"}, "name", None),
    ({"name": None}, "name", "required"),
    ({"name": ""}, "name", "required"),
    ({"since": 20261121}, "since", None),
    ({"since": "2026-02-30"}, "since", None),
    ({"seen_at": "noon"}, "seen_at", None),
    ({"weight": "1.23456"}, "weight", "too_many_decimals"),
    ({"weight": 10**30}, "weight", "too_many_digits"),
    ({"weight": True}, "weight", "not_a_number"),
    ({"visits": "١٢"}, "visits", None),
    ({"visits": -1}, "visits", "too_small"),
    ({"discount": "120"}, "discount", "too_large"),
    ({"tier": "bronze"}, "tier", None),
    ({"interests": "tea;bricks"}, "interests", None),
    ({"email": "nobody"}, "email", None),
    ({"site": "javascript:alert(1)"}, "site", None),
    ({"credit_currency": "XXZ"}, "credit_currency", None),
    ({"parent": SOMEBODY}, "parent", None),
    ({"parent": "not-an-id"}, "parent", None),
    ({"owner": SOMEBODY}, "owner", None),
    ({"version": 3}, "version", "not_writable"),
    ({"created_at": "2020-01-01T00:00:00Z"}, "created_at", "not_writable"),
    ({"spent": "100"}, "spent", "not_writable"),
    ({"deletion_id": SOMEBODY}, "deletion_id", "unknown_field"),
    ({"": 1}, "", "unknown_field"),
    ({"x" * 5000: 1}, "x" * 5000, "unknown_field"),
    ({"note": "x" * 5_000_000}, "note", "too_long"),
    ({"story": 5}, "story", None),
    ({"home_country": 5}, "home_country", None),
]


def test_a_value_that_does_not_fit_is_refused_at_its_field(admin: Any, subtests: Any) -> None:
    for values, field, code in BAD_VALUES:
        with subtests.test(case=str(values)[:60]):
            response = admin.call("POST", "/records/customer", json={"name": "A", **values})
            problem = refused(response, "validation_failed")
            found = [error for error in problem["errors"] if error["field"] == field]
            assert found, problem
            assert found[0]["pointer"] == "/" + field
            if code is not None:
                assert found[0]["code"] == code
            assert len(response.get_data()) < 50_000
            assert admin.get("/records/customer?count=true")["total"] == 0


STRANGE_TEXTS: Any = [
    "'; DROP TABLE customer; --",
    '" OR ""="',
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "${7*7}",
    "%s %d \\x00 \\u0000",
    "𝕳ello \u202e\u200b名字 🏯",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
]


def test_a_strange_text_is_kept_as_it_is_and_never_run(admin: Any, subtests: Any) -> None:
    for text in STRANGE_TEXTS:
        with subtests.test(case=str(text)[:60]):
            made = admin.post("/records/customer", {"name": text, "note": text, "code": text})
            assert (made["name"], made["note"]) == (text, text)
            assert [
                r["id"]
                for r in admin.get("/records/customer", query_string={"filter": f"code = {formula_text(text)}"})[
                    "records"
                ]
            ] == [made["id"]]
            admin.get("/search", query_string={"q": text})
            assert admin.get("/records/customer?count=true")["total"] >= 1


def formula_text(text: str) -> str:
    """The text as a literal of the formula language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


BAD_QUERIES: Any = [
    ("?filtr=1", "unknown_parameter"),
    ("?limit=0", "bad_request"),
    ("?limit=501", "bad_request"),
    ("?limit=-1", "bad_request"),
    ("?limit=ten", "bad_request"),
    ("?limit=%D9%A1", "bad_request"),
    ("?limit=1&limit=2", "bad_request"),
    ("?sort=nothing", "bad_request"),
    ("?sort=note,,--name", "bad_request"),
    ("?sort=extra", "bad_request"),
    ("?fields=id,nothing", "bad_request"),
    ("?expand=name", "bad_request"),
    ("?expand=nothing", "bad_request"),
    ("?count=yes", "bad_request"),
    ("?cursor=abc", "bad_request"),
    ("?cursor=%00", "bad_request"),
    ("?cursor=%E8%8C%B6", "bad_request"),
    ("?filter=name", "bad_request"),
    ("?filter=NULL", "bad_request"),
    ("?filter=name = ", "bad_request"),
    ("?filter=1=1;DROP TABLE customer", "bad_request"),
    ("?filter=nothing > 1", "bad_request"),
    ("?filter=" + "(" * 3000, "bad_request"),
    ("?filter=" + "x" * 30_000, "bad_request"),
    ("?view=nothing", "not_found"),
]


def test_a_list_asked_for_wrongly_is_refused(admin: Any, subtests: Any) -> None:
    for query, code in BAD_QUERIES:
        with subtests.test(case=str(query)[:60]):
            refused(admin.call("GET", "/records/customer" + query), code)


def test_a_cursor_edited_by_hand_or_of_another_list_is_refused(admin: Any) -> None:
    admin.post("/records/customer", [{"name": f"N{i}"} for i in range(4)])
    cursor = admin.get("/records/customer?limit=2&sort=name")["next_cursor"]
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        edited = cursor[:place] + other + cursor[place + 1 :]
        response = admin.call("GET", f"/records/customer?limit=2&sort=name&cursor={edited}")
        assert response.status_code in (200, 400)
        if response.status_code == 200:  # the last character of base64 has bits that mean nothing
            assert place == len(cursor) - 1
    refused(admin.call("GET", f"/records/customer?limit=2&sort=-name&cursor={cursor}"), "bad_request")
    refused(admin.call("GET", f"/records/purchase?limit=2&cursor={cursor}"), "bad_request")


BAD_ADDRESSES: Any = [
    ("GET", "/records/cusomer", "not_found"),
    ("GET", "/records/ratoon_token", "not_found"),
    ("GET", "/records/select", "not_found"),
    ("GET", "/records/customer/7", "not_found"),
    ("GET", "/records/customer/' OR 1=1", "not_found"),
    ("GET", f"/records/customer/{SOMEBODY}", "not_found"),
    ("PATCH", f"/records/customer/{SOMEBODY}", "not_found"),
    ("DELETE", f"/records/customer/{SOMEBODY}", "not_found"),
    ("POST", f"/records/customer/{SOMEBODY}/restore", "not_found"),
    ("GET", f"/records/customer/{SOMEBODY}/history", "not_found"),
    ("GET", "/objects/cusomer", "not_found"),
    ("GET", "/nothing/here", "not_found"),
    ("DELETE", "/records/customer", "method_not_allowed"),
    ("PUT", "/records/customer", "method_not_allowed"),
    ("POST", f"/records/customer/{SOMEBODY}", "method_not_allowed"),
    ("TRACE", "/records/customer", "method_not_allowed"),
    ("POST", "/me", "method_not_allowed"),
]


def test_an_address_that_is_not_there_says_so(admin: Any, subtests: Any) -> None:
    for method, path, code in BAD_ADDRESSES:
        with subtests.test(case=str(method)[:60]):
            body = {"json": {}} if method in ("POST", "PATCH", "PUT") else {}
            response = admin.call(method, path, **body)
            problem = refused(response, code)
            if code == "method_not_allowed":
                assert "GET" in response.headers["Allow"]
            if "cusomer" in path:
                assert "customer" in problem["detail"]


BAD_VERSIONS: Any = ["abc", "3", '"x"', '"1", "2"', '"99999999999999999999"']


def test_an_if_match_that_is_no_version_is_refused(admin: Any, subtests: Any) -> None:
    for value in BAD_VERSIONS:
        with subtests.test(case=str(value)[:60]):
            made = admin.post("/records/customer", {"name": "A"})
            response = admin.call(
                "PATCH", f"/records/customer/{made['id']}", json={"name": "B"}, headers={"If-Match": value}
            )
            refused(response, "bad_request")


BAD_CHANGES: Any = [[{"name": "B"}], [{"id": 7}], [{"id": None}], [{"id": SOMEBODY, "version": "1"}], {"id": SOMEBODY}]


def test_a_list_of_changes_names_each_record_and_version(admin: Any, subtests: Any) -> None:
    for changes in BAD_CHANGES:
        with subtests.test(case=str(changes)[:60]):
            refused(admin.call("PATCH", "/records/customer", json=changes), "malformed_json")


BAD_FIGURES: Any = [
    "?measures=sum",
    "?measures=median:amount",
    "?measures=sum:nothing",
    "?group_by=nothing",
    "?measures=sum:stage",
]


def test_figures_asked_for_wrongly_are_refused(admin: Any, subtests: Any) -> None:
    for query in BAD_FIGURES:
        with subtests.test(case=str(query)[:60]):
            refused(admin.call("GET", f"/records/purchase/aggregate{query}"), "bad_request")


def test_hierarchies_do_not_go_round_in_circles(admin: Any) -> None:
    one = admin.post("/records/customer", {"name": "A"})["id"]
    two = admin.post("/records/customer", {"name": "B", "parent": one})["id"]
    refused(admin.call("PATCH", f"/records/customer/{one}", json={"parent": two}), "validation_failed")
    refused(admin.call("PATCH", f"/records/customer/{one}", json={"parent": one}), "validation_failed")


def test_a_unique_value_is_refused_twice_in_one_list_and_across_calls(admin: Any) -> None:
    same = [{"name": "A", "code": "X"}, {"name": "B", "code": "X"}]
    refused(admin.call("POST", "/records/customer", json=same), "validation_failed")
    admin.post("/records/customer", same[0])
    refused(admin.call("POST", "/records/customer", json=same[1]), "validation_failed")


def test_more_records_than_one_call_takes_are_refused(admin: Any) -> None:
    body = orjson.dumps([{}] * 20_001)
    refused(admin.call("POST", "/records/customer", data=body, headers=JSON), "bad_request")


def test_an_empty_list_makes_nothing(admin: Any) -> None:
    assert admin.post("/records/customer", [])["records"] == []
    assert admin.patch("/records/customer", [])["records"] == []


@given(
    keys=st.lists(st.sampled_from(["a", "b", 'c":', "d :", "é", ""]), max_size=4),
    text=st.sampled_from(["", ":", '":', " :", '\\":', "{}", '"a":1']),
    gap=st.sampled_from(["", " ", "\n", "\t ", "\r"]),
)
def test_a_key_that_stands_twice_is_always_seen(keys: list[str], text: str, gap: str) -> None:
    inner = ",".join(f"{json.dumps(key)}{gap}:{gap}{json.dumps(text)}" for key in keys)
    body = f'[{{{inner}}}, {{"x"{gap}:{{{inner}}}}}]'.encode()
    if len(set(keys)) == len(keys):
        assert parse(body) == json.loads(body)
    else:
        with pytest.raises(DuplicateKey):
            parse(body)
