"""Idempotency keys: a call sent again is answered again, not done again."""

from __future__ import annotations

import threading
from typing import Any


def post(client: Any, key: str, body: Any) -> Any:
    return client.call("POST", "/records/customer", json=body, headers={"Idempotency-Key": key})


def test_the_same_call_gets_the_same_answer_and_makes_one_record(admin: Any) -> None:
    first, second = post(admin, "k-1", {"name": "A"}), post(admin, "k-1", {"name": "A"})
    assert first.status_code == second.status_code == 201
    assert first.get_data() == second.get_data()
    assert (second.headers["Location"], second.headers["ETag"]) == (first.headers["Location"], first.headers["ETag"])
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.content_type == "application/json"
    assert admin.get("/records/customer?count=true")["total"] == 1


def test_the_same_key_with_another_body_is_refused(admin: Any) -> None:
    post(admin, "k-1", {"name": "A"})
    response = post(admin, "k-1", {"name": "B"})
    assert (response.status_code, response.json["code"]) == (422, "idempotency_key_reused")


def test_a_refused_call_may_be_tried_again_with_its_key(admin: Any) -> None:
    assert post(admin, "k-1", {"name": ""}).status_code == 422
    assert post(admin, "k-1", {"name": "A"}).status_code == 201


def test_a_key_is_remembered_for_a_day(shop: Any, admin: Any, time: Any) -> None:
    first = post(admin, "k-1", {"name": "A"}).json
    time.pass_(hours=23)
    assert post(admin, "k-1", {"name": "A"}).json == first
    time.pass_(hours=2)
    post(admin, "k-2", {"name": "B"})
    assert post(admin, "k-1", {"name": "A"}).json["id"] != first["id"]


def test_keys_of_different_callers_have_nothing_to_do_with_one_another(shop: Any, admin: Any) -> None:
    other = shop.client("Olga", admin=True)
    assert post(admin, "k-1", {"name": "A"}).json["id"] != post(other, "k-1", {"name": "A"}).json["id"]


def test_a_key_is_visible_ascii(admin: Any) -> None:
    for key in ("", " ", "x" * 256, "a b", "é"):
        response = post(admin, key, {"name": "A"})
        assert (response.status_code, response.json["parameter"]) == (400, "Idempotency-Key")


def test_of_many_calls_at_once_one_is_done_and_all_get_its_answer(shop: Any, admin: Any) -> None:
    answers: list[Any] = []
    start = threading.Barrier(6)

    def send() -> None:
        start.wait()
        answers.append(post(admin, "k-1", {"name": "A"}))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [201] * 6
    assert len({a.json["id"] for a in answers}) == 1
    assert admin.get("/records/customer?count=true")["total"] == 1
