"""The audit trail: nothing can be changed, taken out, slipped in or cut off unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ratoon.platform.environment import Environment
from ratoon.platform.storage.audit import Happening, entries, forget, head, note, verify

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def kept(open_world: Callable[..., Environment]) -> Environment:
    """Five entries, a minute apart."""
    environment = open_world()
    with environment.database.write() as conn:
        conn.execute(text("DELETE FROM ratoon_audit"))
    for minute in range(5):
        happening = Happening("export", "exported", object="pet", subject=f"list {minute}", detail={"rows": minute})
        with environment.database.write() as conn:
            note(conn, NOON + timedelta(minutes=minute), happening)
    return environment


def test_an_untouched_trail_is_whole(kept: Environment) -> None:
    with kept.database.read() as conn:
        verdict = verify(conn, head(conn))
        page = entries(conn, trail="export", limit=2)
        rest = entries(conn, trail="export", before=page[-1].number)
    assert (verdict.entries, verdict.flaws) == (5, ())
    assert [e.subject for e in (*page, *rest)] == [f"list {n}" for n in (4, 3, 2, 1, 0)]
    assert page[0].detail == {"rows": 4}


@pytest.mark.parametrize(
    ("tampering", "reasons"),
    [
        ("UPDATE ratoon_audit SET detail = '{\"rows\":0}' WHERE number = 3", {"changed"}),
        ("UPDATE ratoon_audit SET subject = 'nothing' WHERE number = 5", {"changed"}),
        ("DELETE FROM ratoon_audit WHERE number = 2", {"missing", "out_of_chain"}),
        ("DELETE FROM ratoon_audit WHERE number > 3", {"head"}),
        ("UPDATE ratoon_audit SET detail = '' WHERE number = 4", {"emptied"}),
        ("UPDATE ratoon_audit SET hash = previous WHERE number = 2", {"changed", "out_of_chain"}),
    ],
)
def test_what_was_tampered_with_is_found(kept: Environment, tampering: str, reasons: set[str]) -> None:
    with kept.database.read() as conn:
        known = head(conn)
    with kept.database.write() as conn:
        conn.execute(text(tampering.replace(":", "\\:")))
    with kept.database.read() as conn:
        assert {flaw.reason for flaw in verify(conn, known).flaws} == reasons


def test_old_entries_are_forgotten_and_the_chain_still_holds(kept: Environment) -> None:
    with kept.database.write() as conn:
        assert forget(conn, NOON + timedelta(days=400), "export", NOON + timedelta(minutes=3)) == 3
    with kept.database.read() as conn:
        assert verify(conn).flaws == ()
        assert [e.detail for e in entries(conn, trail="export")] == [{"rows": 4}, {"rows": 3}, None, None, None]
    with kept.database.write() as conn:
        assert forget(conn, NOON, "audit", NOON + timedelta(days=999)) == 0
        conn.execute(text("UPDATE ratoon_audit SET detail = '' WHERE number = 4"))
    with kept.database.read() as conn:
        assert [(f.number, f.reason) for f in verify(conn).flaws] == [(4, "emptied")]
