"""One search finds Chinese and Latin texts alike, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from ratoon.platform.storage import search
from ratoon.platform.storage.database import Database, driver


def record(number: int) -> str:
    """A record's id."""
    return f"01900000-0000-7000-8000-{number:012x}"


TEXTS = {
    record(1): ("华为技术有限公司", "深圳市龙岗区坂田"),
    record(2): ("Café Zürich AG", "Bahnhofstraße 1, 8001 Zürich"),
    record(3): ("Huawei 华为 Cloud", "partner since 2019"),
    record(4): ("Nothing", "mentions 为华 and cafe in passing"),
    record(5): ('O\'Neill & Söhne "GmbH" *', "a@b.example 100% 'quoted' \\ | ! :"),
    record(6): ("東京株式会社", "テスト 서울"),
}


@contextmanager
def indexed(database: Database) -> Iterator[Connection]:
    """A connection on an index with the texts."""
    with database.write() as conn:
        search.index(conn, "account", [(number, *texts) for number, texts in TEXTS.items()])
    with database.read() as conn:
        yield conn


FOUND: tuple[tuple[str, set[int]], ...] = (
    ("华为", {1, 3}),
    ("华为技术", {1}),
    ("华", {1, 3, 4}),
    ("为华", {4}),
    ("深圳", {1}),
    ("cafe", {2, 4}),
    ("CAFÉ", {2, 4}),
    ("zur", {2}),
    ("zurich 8001", {2}),
    ("8001 zur", {2}),
    ("zur 8001", set()),
    ("strasse", set()),
    ("bahnhofstrasse", {2}),
    ("huawei 华为", {3}),
    ("华为 clo", {3}),
    ("o'neill", {5}),
    ("sohne gmbh", {5}),
    ("b.example", {5}),
    ("100%", {5}),
    ("東京", {6}),
    ("テスト", {6}),
    ("서울", {6}),
    ("' OR 1=1 --", set()),
    ('" * NEAR(', set()),
    ("&|!:*", set()),
    ("", set()),
    ("   ", set()),
    ("😀", set()),
)


def test_it_finds_every_record_with_every_word(database: Database) -> None:
    with indexed(database) as conn:
        for text, found in FOUND:
            hits = search.search(conn, text)
            assert {hit for _, hit, _ in hits} == {record(number) for number in found}, text
            assert all(object == "account" and title == TEXTS[hit][0] for object, hit, title in hits)


def test_titles_come_before_texts(database: Database) -> None:
    with indexed(database) as conn:
        assert [hit for _, hit, _ in search.search(conn, "cafe")] == [record(2), record(4)]


def test_only_the_wanted_objects_and_no_more_than_the_limit(database: Database) -> None:
    with database.write() as conn:
        search.index(conn, "contact", [(record(7), "华为先生", "")])
    with indexed(database) as conn:
        assert {o for o, _, _ in search.search(conn, "华为", ["contact"])} == {"contact"}
        assert search.search(conn, "华为", []) == []
        assert len(search.search(conn, "华为", ["account", "contact"], limit=2)) == 2


def test_a_new_text_replaces_the_old_one(database: Database) -> None:
    with indexed(database):
        pass
    with database.write() as conn:
        search.index(conn, "account", [(record(1), "Renamed", ""), (record(9), "华为九", "")])
        search.index(conn, "account", [])
        assert [hit for _, hit, _ in search.search(conn, "renam")] == [record(1)]
        assert {hit for _, hit, _ in search.search(conn, "华为")} == {record(3), record(9)}
        assert search.search(conn, "深圳") == []


def test_what_is_removed_is_not_found(database: Database) -> None:
    with indexed(database):
        pass
    with database.write() as conn:
        search.remove(conn, "account", {record(1), record(8)})
        search.remove(conn, "account", [])
    with database.read() as conn:
        assert {hit for _, hit, _ in search.search(conn, "华为")} == {record(3)}
        assert search.search(conn, "深圳") == []


def test_a_very_long_text_is_cut_and_still_found(database: Database) -> None:
    with database.write() as conn:
        search.index(conn, "account", [(record(1), "x" * 5000, "长" * 200_000 + " end")])
    with database.read() as conn:
        assert len(search.search(conn, "长长")) == 1
        assert len(search.search(conn, "x" * 5000)) == 1
        assert search.search(conn, "end") == []
        assert search.search(conn, "短" + "长" * 5000) == []


def test_whatever_was_added_changed_or_removed_is_found_as_it_stands(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while some records are in the index of SQLite and the newest are not yet."""
    monkeypatch.setattr(search, "PENDING", 4)
    chance = random.Random(7)
    words = ("alpha", "beta", "gamma", "华为", "技术")
    there: dict[str, tuple[str, str]] = {}
    for _ in range(120):
        with database.write() as conn:
            ids = [record(number) for number in chance.sample(range(12), chance.randint(1, 3))]
            new = [id for id in ids if id not in there]
            old = [id for id in ids if id in there]
            if chance.random() < 0.3:
                search.remove(conn, "account", ids)
                for id in old:
                    del there[id]
            else:
                texts = {id: (chance.choice(words), " ".join(chance.sample(words, 2))) for id in ids}
                search.index(conn, "account", [(id, *texts[id]) for id in new], new=True)
                search.index(conn, "account", [(id, *texts[id]) for id in old])
                there |= texts
            for word in (*words, "bet"):
                found = {id for _, id, _ in search.search(conn, word, limit=100)}
                assert found == {id for id, texts in there.items() if any(word in text for text in texts)}, word
            if database.dialect == "sqlite":
                check = "INSERT INTO ratoon_search_words (ratoon_search_words, rank) VALUES ('integrity-check', 0)"
                driver(conn).execute(check)


def test_the_newest_records_wait_to_be_put_into_the_index_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect != "sqlite":
        return
    monkeypatch.setattr(search, "PENDING", 3)
    indexed = []
    with database.write() as conn:
        for number in range(7):
            search.index(conn, "account", [(record(number), f"word{number}", "")], new=True)
            indexed.append(driver(conn).execute("SELECT count(*) FROM ratoon_search_words_docsize").fetchone()[0])
            assert [id for _, id, _ in search.search(conn, f"word{number}")] == [record(number)]
    assert indexed == [0, 0, 3, 3, 3, 6, 6]
