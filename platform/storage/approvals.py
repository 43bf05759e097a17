"""Reading and writing approvals: requests, votes, what happened, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, MetaData, and_, delete, insert, or_, select, update

from ratoon.platform.storage.approval_tables import define_approval_tables
from ratoon.platform.storage.statements import Row, Statement, one_of, sql_dialect

_TABLES = define_approval_tables(MetaData()).tables
REQUEST = _TABLES["ratoon_approval"]
VOTE = _TABLES["ratoon_vote"]
DECISION = _TABLES["ratoon_decision"]
DELEGATION = _TABLES["ratoon_delegation"]


def pending(conn: Connection, records: Collection[str]) -> dict[str, Row]:
    """The pending request of each of these records: record → request."""
    rows = _pending(conn.dialect.name).rows(conn, records=list(records)) if records else []
    return {row["record"]: row for row in rows}


def add_request(conn: Connection, values: dict[str, Any]) -> None:
    """Writes a new request. Raises ``errors.Conflict`` at once when the record has a pending one."""
    conn.execute(insert(REQUEST), values)


def request(conn: Connection, id: str, *, lock: bool = False) -> Row | None:
    """One request; ``lock`` keeps others from deciding at the same time (PostgreSQL; SQLite has one writer)."""
    query = select(REQUEST).where(REQUEST.c.id == id)
    if lock and conn.dialect.name == "postgresql":
        query = query.with_for_update()
    row = conn.execute(query).mappings().first()
    return _plain(row) if row is not None else None


def requests_of(conn: Connection, record: str) -> list[Row]:
    """Every request of a record, newest first."""
    query = select(REQUEST).where(REQUEST.c.record == record).order_by(REQUEST.c.id.desc())
    return [_plain(row) for row in conn.execute(query).mappings()]


def change_request(conn: Connection, id: str, **values: Any) -> None:
    """Writes some values of a request."""
    conn.execute(update(REQUEST).where(REQUEST.c.id == id).values(values))


def add_votes(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Asks people."""
    if rows:
        conn.execute(insert(VOTE), list(rows))


def votes_of(conn: Connection, approval: str, round: int | None = None) -> list[Row]:
    """The votes of a request (of one round), in the order in which people were asked."""
    query = select(VOTE).where(VOTE.c.approval == approval).order_by(VOTE.c.round, VOTE.c.id)
    if round is not None:
        query = query.where(VOTE.c.round == round)
    return [_plain(row) for row in conn.execute(query).mappings()]


def vote(conn: Connection, id: str) -> Row | None:
    """One vote."""
    row = conn.execute(select(VOTE).where(VOTE.c.id == id)).mappings().first()
    return _plain(row) if row is not None else None


def decide(conn: Connection, vote: str, state: str, at: datetime, by: str | None = None) -> None:
    """Writes an answer; ``by`` when somebody else than the one who was asked gave it."""
    values: dict[str, Any] = {"state": state, "decided_at": at, **({} if by is None else {"user_id": by})}
    conn.execute(update(VOTE).where(VOTE.c.id == vote).values(values))


def close_votes(conn: Connection, approval: str, at: datetime) -> None:
    """Takes back every question that nobody answered."""
    still = and_(VOTE.c.approval == approval, VOTE.c.state == "open")
    conn.execute(update(VOTE).where(still).values(state="closed", decided_at=at))


def hand_over(conn: Connection, vote: str, to: str, instead_of: str) -> None:
    """Asks somebody else instead."""
    conn.execute(update(VOTE).where(VOTE.c.id == vote).values(user_id=to, instead_of=instead_of))


def open_votes(conn: Connection, users: Collection[str], limit: int = 200) -> list[Row]:
    """What these users are asked, oldest first: the vote with its request (keys ``request_…``)."""
    facts = [
        REQUEST.c[n].label(f"request_{n}") for n in ("object", "record", "process", "submitted_by", "submitted_at")
    ]
    query = (
        select(VOTE, *facts)
        .join(REQUEST, REQUEST.c.id == VOTE.c.approval)
        .where(VOTE.c.user_id.in_(list(users)), VOTE.c.state == "open", REQUEST.c.state == "pending")
    )
    return [_plain(row) for row in conn.execute(query.order_by(VOTE.c.id).limit(limit)).mappings()]


def submitted_by(conn: Connection, user: str, limit: int = 50) -> list[Row]:
    """What a user submitted, newest first."""
    query = select(REQUEST).where(REQUEST.c.submitted_by == user).order_by(REQUEST.c.id.desc()).limit(limit)
    return [_plain(row) for row in conn.execute(query).mappings()]


def note(conn: Connection, **values: Any) -> None:
    """Adds to what happened: approval, at, by, event, step, comment, source."""
    conn.execute(insert(DECISION), values)


def decisions(conn: Connection, approvals: Collection[str]) -> list[Row]:
    """What happened to these requests, oldest first."""
    query = select(DECISION).where(DECISION.c.approval.in_(list(approvals))).order_by(DECISION.c.number)
    return [_plain(row) for row in conn.execute(query).mappings()] if approvals else []


def delegate_of(conn: Connection, users: Collection[str], at: datetime) -> dict[str, str]:
    """Who stands in for whom at that time: user → delegate."""
    if not users:
        return {}
    c = DELEGATION.c
    running = and_(c.user_id.in_(list(users)), c.starts_at <= at, or_(c.ends_at.is_(None), c.ends_at > at))
    query = select(c.user_id, c.delegate).where(running).order_by(c.starts_at)
    return {row[0]: row[1] for row in conn.execute(query)}


def stands_in_for(conn: Connection, user: str, at: datetime) -> list[str]:
    """The users whom this one stands in for at that time."""
    c = DELEGATION.c
    running = and_(c.delegate == user, c.starts_at <= at, or_(c.ends_at.is_(None), c.ends_at > at))
    return list(conn.execute(select(c.user_id).where(running).distinct()).scalars())


def delegations_of(conn: Connection, user: str) -> list[Row]:
    """The delegations of a user, newest first."""
    query = select(DELEGATION).where(DELEGATION.c.user_id == user).order_by(DELEGATION.c.starts_at.desc())
    return [_plain(row) for row in conn.execute(query).mappings()]


def add_delegation(conn: Connection, values: dict[str, Any]) -> None:
    """Lets somebody stand in for somebody."""
    conn.execute(insert(DELEGATION), values)


def drop_delegation(conn: Connection, id: str, user: str) -> bool:
    """Ends a delegation of that user; false when there is none."""
    return conn.execute(delete(DELEGATION).where(DELEGATION.c.id == id, DELEGATION.c.user_id == user)).rowcount > 0


def _plain(row: Any) -> Row:
    """A row with plain texts as keys: orjson takes no other."""
    return {str(key): value for key, value in row.items()}


@cache
def _pending(dialect: str) -> Statement:
    columns = (REQUEST.c[n] for n in ("id", "object", "record", "process", "step", "round", "submitted_by"))
    query = select(*columns).where(one_of(REQUEST.c.record, "records", dialect), REQUEST.c.state == "pending")
    return Statement.compile(query, sql_dialect(dialect))
