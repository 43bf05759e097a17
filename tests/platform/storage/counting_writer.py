"""A process of its own that writes: ``counting_writer.py URL NAME TIMES SIZE``.

Each of TIMES transactions reads a number, waits a moment, writes the number plus one, and adds SIZE rows that belong
together. Prints a dot after each commit.
"""

from __future__ import annotations

import sys
import threading

from sqlalchemy import text

from ratoon.platform.storage.database import Database


def main(url: str, name: str, times: int, size: int) -> None:
    """Writes."""
    database = Database.open(url)
    for number in range(times):
        with database.write() as conn:
            if database.dialect == "postgresql":
                conn.execute(text("SELECT value FROM ratoon_setting WHERE name = 'count' FOR UPDATE"))
            value = int(conn.execute(text("SELECT value FROM ratoon_setting WHERE name = 'count'")).scalar_one())
            threading.Event().wait(0.002)
            conn.execute(text("UPDATE ratoon_setting SET value = :v WHERE name = 'count'"), {"v": str(value + 1)})
            rows = [{"n": f"{name}.{number}.{place}", "v": "x"} for place in range(size)]
            conn.execute(text("INSERT INTO ratoon_setting (name, value) VALUES (:n, :v)"), rows)
        print(".", end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
