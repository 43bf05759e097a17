"""Fills the databases of the benchmark: the hand-written application's and the product's, with the same deals.

Run as a program it does one of the two and prints the token to call with: ``seed.py handwritten URL ROWS`` or
``seed.py generic URL ROWS PACKAGE …``.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data import deal, deal_id
from handwritten import Deals, checked, open_engine
from sqlalchemy import insert, text

BATCH = 5000
TOKEN = "benchmark-token-of-the-handwritten-application"
USER = "01900000-0000-7000-8000-ffffffffffff"


def batches(rows: int) -> Iterator[range]:
    """Row numbers in portions."""
    for start in range(1, rows + 1, BATCH):
        yield range(start, min(start + BATCH, rows + 1))


def fill_handwritten(url: str, rows: int) -> str:
    """Makes the tables and the deals of the hand-written application; returns the token."""
    engine = open_engine(url)
    deals = Deals(engine)
    metadata = deals.deal.metadata
    with engine.connect() as connection:
        metadata.create_all(connection)
        connection.commit()
    now = deals.now()
    with deals.write() as connection:
        fingerprint = hashlib.sha256(TOKEN.encode()).hexdigest()
        connection.execute(insert(deals.token), {"fingerprint": fingerprint, "user": USER})
    for numbers in batches(rows):
        made = [{**deals.new(checked(deal(n), True), USER, now), "id": deal_id(n)} for n in numbers]
        with deals.write() as connection:
            connection.execute(deals.insert, made)
    _analyze(engine)
    engine.dispose()
    return TOKEN


def fill_generic(url: str, rows: int, packages: Sequence[Path], objects: Sequence[str] = ("deal",)) -> str:
    """Applies the packages, makes a user with a token, and writes the deals straight into their tables."""
    from ratoon.platform.access.accounts import Accounts
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.app import open_environment
    from ratoon.platform.config import Settings

    environment = open_environment(Settings(database_url=url))
    apply_packages(environment, packages)
    accounts = Accounts(environment.world)
    with environment.write(SYSTEM) as records:
        user = accounts.create_user(
            records, name="Bench", email="bench@example.com", password="a long benchmark password", admin=True
        )
        token, _ = accounts.create_token(records.connection, user, label="benchmark")
    engine = environment.engine
    now = environment.world.clock()
    for name in objects:
        plan = engine.plans[name]
        system = {"created_at": now, "modified_at": now, "created_by": user, "modified_by": user, "owner": user}
        for numbers in batches(rows):
            made = []
            for n in numbers:
                typed = {key: plan.coerce[key](value) for key, value in deal(n).items()}
                made.append({**plan.blank_row, **typed, **system, "id": deal_id(n), "version": 1})
            with environment.database.write() as connection:
                engine.store.insert(connection, name, made)
    _analyze(environment.database.engine)
    environment.close()
    return token


def apply_packages(environment: Any, packages: Sequence[Path]) -> None:
    """The same as ``ratoon apply`` for each folder."""
    from ratoon.platform.packages.applying import apply_package
    from ratoon.platform.packages.target import Target

    for package in packages:
        apply_package(Target.of(environment), package)


def time_apply(url: str, package: Path) -> float:
    """Applies one package to a running installation; returns the seconds it took, without the start of Python and
    without importing what a server imports at its first apply only."""
    for name in ("alembic.migration", "alembic.operations", "jsonschema"):
        importlib.import_module(name)
    from ratoon.platform.app import open_environment
    from ratoon.platform.config import Settings

    environment = open_environment(Settings(database_url=url))
    assert environment.registry
    start = time.perf_counter()
    apply_packages(environment, [package])
    elapsed = time.perf_counter() - start
    environment.close()
    return elapsed


def _analyze(engine: Any) -> None:
    """Fresh statistics for the query planner, in both databases alike."""
    with engine.connect() as connection:
        connection.execute(text("ANALYZE deal"))
        connection.commit()


if __name__ == "__main__":
    kind, url, rows, *folders = sys.argv[1:]
    if kind == "handwritten":
        print(fill_handwritten(url, int(rows)))
    elif kind == "apply":
        print(time_apply(url, Path(folders[0])))
    else:
        print(fill_generic(url, int(rows), [Path(folder) for folder in folders]))
