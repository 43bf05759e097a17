"""Every key of a record, whatever its type, in every place where a key can stand: an answer or a clear refusal."""

from __future__ import annotations

from typing import Any

OBJECTS = ("customer", "purchase", "user")
PLACES = (
    "/records/{object}?sort={key}",
    "/records/{object}?sort=-{key},name&limit=1",
    "/records/{object}?fields={key}",
    "/records/{object}?expand={key}",
    "/records/{object}?filter=ISBLANK({key})",
    "/records/{object}?filter=NOT(ISBLANK({key}))&count=true",
    '/records/{object}?filter={key} = "1"',
    "/records/{object}?filter={key} > 1",
    "/records/{object}?filter={key} = {key}",
    "/records/{object}?filter={key}",
    '/records/{object}?filter=TEXT({key}) = "x"',
    "/records/{object}/aggregate?group_by={key}",
    "/records/{object}/aggregate?group_by={key},created_at&measures=count:{key}",
    "/records/{object}/aggregate?measures=min:{key},max:{key}",
    "/records/{object}/aggregate?measures=sum:{key},avg:{key}",
    "/records/{object}/aggregate?group_by=owner&measures=max:{key}",
)


def test_every_key_in_every_place(shop: Any, admin: Any, subtests: Any) -> None:
    made = admin.post(
        "/records/customer", [{"name": f"N{i}", "visits": i, "credit": "5", "extra": [i]} for i in range(3)]
    )
    admin.post("/records/purchase", [{"customer": r["id"], "amount": "5", "stage": "new"} for r in made["records"]])
    for object in OBJECTS:
        for key, part in shop.environment.registry[object].parts.items():
            with subtests.test(key=f"{object}.{key}"):
                answered = 0
                for place in PLACES:
                    path, _, query = place.format(object=object, key=key).partition("?")
                    response = admin.call("GET", path, query_string=query.replace("&&", "%26%26"))
                    assert response.status_code in (200, 400), (place, response.get_data(as_text=True)[:500])
                    answered += response.status_code == 200
                assert answered >= 1
                if part.sql is not None and part.sortable:
                    pages(admin, object, key)


def pages(admin: Any, object: str, key: str) -> None:
    """Goes through a list sorted by the key page by page, and back to front: the same records, each once."""
    everything = {record["id"] for record in admin.get(f"/records/{object}?limit=500")["records"]}
    for sort in (key, f"-{key}"):
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            answer = admin.get(f"/records/{object}?sort={sort}&limit=1&fields=id&cursor={cursor}")
            seen += [record["id"] for record in answer["records"]]
            cursor = answer["next_cursor"]
        assert len(seen) == len(set(seen))
        assert set(seen) == everything
