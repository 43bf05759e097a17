"""The global search: titles and texts of records, Chinese and Latin, as one index.

Both databases would cut Chinese text badly, so texts are cut here (``tokens``): a run of Chinese, Japanese or Korean
characters becomes its single characters and its pairs of neighbours (华为技术 → 华 为 技 术 华为 为技 技术),
anything else becomes words, lower-cased, without accents. A search wants every word; the last one may be the beginning
of a word. In a run of Chinese characters every pair of neighbours must occur.

SQLite keeps the words in an FTS5 index beside ``ratoon_search``, PostgreSQL in ``tsvector`` columns with GIN indexes.
Matches in the title come before matches in the text.

To add one record to an inverted index touches a page per structure; to add many at once hardly touches more. PostgreSQL
therefore collects new entries by itself. On SQLite the words of the newest records only stand in ``ratoon_search``
until there are ``PENDING``; then whoever saves next puts them all into the index, and a search looks through those few
rows one by one. Rows are indexed in the order of their numbers and a changed record gets a new number, so *pending*
are the rows behind the last one that the index knows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from ratoon.platform.storage.database import driver, executor

MAX_TEXT = 100_000
"""Characters of one record's text that are indexed."""
MAX_WORD = 100
MAX_QUERY_WORDS = 32
CANDIDATES = 1000
"""Matches that are looked at to find the best."""
PENDING = 250
"""SQLite: records whose words wait to be put into the index together. A search reads them all: 0.1 ms."""
_CJK = "぀-ヿ㐀-䶿一-鿿가-힯豈-﫿𠀀-𳎯"
_RUNS = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")
_CJK_FIRST = re.compile(f"[{_CJK}]")

_SQLITE = (
    "CREATE TABLE IF NOT EXISTS ratoon_search (number INTEGER PRIMARY KEY, object VARCHAR(60) NOT NULL, "
    "record VARCHAR(36) NOT NULL UNIQUE, title TEXT NOT NULL, words TEXT NOT NULL, more TEXT NOT NULL)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS ratoon_search_words USING fts5 (words, more, content='ratoon_search', "
    "content_rowid='number', tokenize='unicode61 remove_diacritics 0')",
)
_POSTGRESQL = (
    "CREATE TABLE IF NOT EXISTS ratoon_search (object VARCHAR(60) NOT NULL, record UUID PRIMARY KEY, "
    "title TEXT NOT NULL, words TSVECTOR NOT NULL, everything TSVECTOR NOT NULL)",
    "CREATE INDEX IF NOT EXISTS ix_ratoon_search_words ON ratoon_search USING gin (words)",
    "CREATE INDEX IF NOT EXISTS ix_ratoon_search_everything ON ratoon_search USING gin (everything)",
)

_VECTOR = "array_to_tsvector(string_to_array(%s, ' '))"
_INTO_POSTGRESQL = "INTO ratoon_search (object, record, title, words, everything)"
_MANY_POSTGRESQL = (
    "SELECT one ->> 0, (one ->> 1)::uuid, one ->> 2, array_to_tsvector(string_to_array(one ->> 3, ' ')), "
    "array_to_tsvector(string_to_array(one ->> 4, ' ')) FROM json_array_elements(%s::json) AS one"
)
_REPLACING = (
    "ON CONFLICT (record) DO UPDATE "
    "SET title = excluded.title, words = excluded.words, everything = excluded.everything"
)

Hit = tuple[str, str, str]
"""(object, id, title)"""


def create_search_tables(connection: Connection) -> None:
    """Makes the index if it is missing."""
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        driver(connection).execute(statement)


def tokens(text: str) -> list[str]:
    """The words of a text as the index keeps them."""
    if text.isascii():
        runs = _RUNS.findall(text[:MAX_TEXT].lower())
        return list(dict.fromkeys(runs if len(text) <= MAX_WORD else [run[:MAX_WORD] for run in runs]))
    found: dict[str, None] = {}
    for run, chinese in _runs(text):
        if chinese:
            found.update(dict.fromkeys(run))
            found.update(dict.fromkeys(_pairs(run)))
        else:
            found[run] = None
    return list(found)


def index(conn: Connection, object: str, records: Sequence[tuple[str, str, str]], *, new: bool = False) -> None:
    """Puts records into the index, or puts their new texts: (id, title, text) each. ``new``: none was there before."""
    if not records:
        return
    if conn.dialect.name == "sqlite":
        if not new:
            _forget_sqlite(conn, [record for record, _, _ in records])
        _add_sqlite(conn, object, records)
        return
    rows = []
    for record, title, text in records:
        words = tokens(title)
        everything = dict.fromkeys((*words, *tokens(text))) if text else words
        rows.append((object, record, title, " ".join(words), " ".join(everything)))
    if len(rows) == 1:
        executor(conn).execute(
            f"INSERT {_INTO_POSTGRESQL} VALUES (%s, %s, %s, {_VECTOR}, {_VECTOR}) {_REPLACING}", rows[0]
        )
        return
    many = f"INSERT {_INTO_POSTGRESQL} {_MANY_POSTGRESQL} {_REPLACING}"
    executor(conn).execute(many, (orjson.dumps(rows).decode(),))


def remove(conn: Connection, object: str, ids: Collection[str]) -> None:
    """Takes records out of the index."""
    if not ids:
        return
    if conn.dialect.name == "sqlite":
        _forget_sqlite(conn, ids)
    else:
        driver(conn).execute("DELETE FROM ratoon_search WHERE record = ANY(%s::uuid[])", (list(ids),))


def search(conn: Connection, text: str, objects: Collection[str] | None = None, limit: int = 20) -> list[Hit]:
    """Records that have every word of ``text``, best first; ``objects`` = only of these objects.

    First those whose title has them all, then the others; shorter titles come first. Of words that are everywhere, a
    thousand matches are looked at (SQLite: the newest).
    """
    wanted = list(_wanted(text))[:MAX_QUERY_WORDS]
    if not wanted or (objects is not None and not objects):
        return []
    matches = _matches_sqlite if conn.dialect.name == "sqlite" else _matches_postgresql
    found = matches(conn, wanted, objects, limit, True)
    if len(found) < limit:
        known = {record for _, record, _ in found}
        more = matches(conn, wanted, objects, limit + len(found), False)
        found += [hit for hit in more if hit[1] not in known]
    return found[:limit]


def covers(text: str, texts: Sequence[str]) -> bool:
    """Whether every word of a search occurs in one of these texts: what ``search`` asks of the index."""
    there = {word for given in texts for word in tokens(given)}
    wanted = list(_wanted(text))[:MAX_QUERY_WORDS]
    return bool(wanted) and all(
        any(word.startswith(part) for word in there) if prefix else part in there for part, prefix in wanted
    )


def _matches_postgresql(
    conn: Connection, wanted: Sequence[tuple[str, bool]], objects: Collection[str] | None, limit: int, title: bool
) -> list[Hit]:
    query = " & ".join(f"'{word}'{':*' if prefix else ''}" for word, prefix in wanted)
    words = "words" if title else "everything"
    only = "" if objects is None else "AND object = ANY(%s)"
    candidates = (
        f"SELECT object, record, title FROM ratoon_search WHERE {words} @@ %s::tsquery {only} LIMIT {CANDIDATES}"
    )
    found: list[Hit] = (
        driver(conn)
        .execute(
            f"SELECT * FROM ({candidates}) AS found ORDER BY length(title), title, record LIMIT %s",
            [query, *([] if objects is None else [list(objects)]), limit],
        )
        .fetchall()
    )
    return found


def _matches_sqlite(
    conn: Connection, wanted: Sequence[tuple[str, bool]], objects: Collection[str] | None, limit: int, title: bool
) -> list[Hit]:
    query = " AND ".join(f'"{word}"{"*" if prefix else ""}' for word, prefix in wanted)
    only = "" if objects is None else "AND r.object IN (SELECT value FROM json_each(?))"
    among: list[Any] = [] if objects is None else [_json(objects)]
    indexed = (
        "SELECT r.object, r.record, r.title FROM ratoon_search_words AS w "
        "JOIN ratoon_search AS r ON r.number = w.rowid "
        f"WHERE ratoon_search_words MATCH ? {only} ORDER BY w.rowid DESC LIMIT {CANDIDATES}"
    )
    texts = "' ' || r.words || ' '" if title else "' ' || r.words || ' ' || r.more || ' '"
    pending = (
        f"SELECT r.object, r.record, r.title FROM ratoon_search AS r WHERE r.number > {_LAST_INDEXED} {only}"
        + f" AND instr({texts}, ?)" * len(wanted)
    )
    both = (
        f"SELECT * FROM (SELECT * FROM ({indexed}) UNION ALL {pending}) ORDER BY length(title), title, record LIMIT ?"
    )
    given = [f"words : ({query})" if title else query, *among]
    given += [*among, *(f" {word}" if prefix else f" {word} " for word, prefix in wanted), limit]
    found: list[Hit] = driver(conn).execute(both, given).fetchall()
    return found


def _add_sqlite(conn: Connection, object: str, records: Sequence[tuple[str, str, str]]) -> None:
    """Adds rows, and puts the pending ones into the index when there are enough."""
    raw = executor(conn)
    raw.executemany(
        "INSERT INTO ratoon_search (object, record, title, words, more) VALUES (?, ?, ?, ?, ?)",
        [
            (object, id, title, " ".join(tokens(title)), " ".join(tokens(text)) if text else "")
            for id, title, text in records
        ],
    )
    last, indexed = raw.execute(f"SELECT (SELECT max(number) FROM ratoon_search), {_LAST_INDEXED}").fetchone()
    if last - indexed >= PENDING:
        raw.execute(
            "INSERT INTO ratoon_search_words (rowid, words, more) "
            "SELECT number, words, more FROM ratoon_search WHERE number > ? ORDER BY number",
            (indexed,),
        )


def _forget_sqlite(conn: Connection, ids: Collection[str]) -> None:
    """Takes these records out. The index needs to be told which words they had, and only if it has them."""
    raw, these = executor(conn), _json(ids)
    raw.execute(
        "INSERT INTO ratoon_search_words (ratoon_search_words, rowid, words, more) "
        f"SELECT 'delete', number, words, more {_AMONG} WHERE number <= {_LAST_INDEXED}",
        (these,),
    )
    raw.execute("DELETE FROM ratoon_search WHERE record IN (SELECT value FROM json_each(?))", (these,))


_LAST_INDEXED = "(SELECT coalesce(max(id), 0) FROM ratoon_search_words_docsize)"
"""The number of the last row that the index has: FTS5 keeps one row per document in that table."""
_AMONG = (
    "FROM json_each(?) AS given CROSS JOIN ratoon_search INDEXED BY sqlite_autoindex_ratoon_search_1 "
    "ON ratoon_search.record = given.value"
)
"""The rows of these ids. Statistics from when the table was small would make SQLite read all of it instead."""


def _json(values: Collection[str]) -> str:
    return orjson.dumps(list(values)).decode()


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """The runs of a text: (text, whether it is written without spaces)."""
    if text.isascii():
        yield from ((run[:MAX_WORD], False) for run in _RUNS.findall(text[:MAX_TEXT].lower()))
        return
    folded = unicodedata.normalize("NFKD", text[:MAX_TEXT])
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    for run in _RUNS.findall(unicodedata.normalize("NFKC", folded).casefold()):
        yield (run, True) if _CJK_FIRST.match(run) else (run[:MAX_WORD], False)


def _pairs(run: str) -> Iterator[str]:
    return (run[at : at + 2] for at in range(len(run) - 1))


def _wanted(text: str) -> Iterator[tuple[str, bool]]:
    """The words a search asks for, and whether each may be the beginning of a word."""
    runs = list(_runs(text[:1000]))
    for at, (run, chinese) in enumerate(runs):
        if not chinese:
            yield run, at == len(runs) - 1
        elif len(run) == 1:
            yield run, False
        else:
            yield from ((pair, False) for pair in _pairs(run))
