"""Writes the demo data of the standard package: ``python tests/objects/make_demo.py [FOLDER]``.

The data in ``objects/_demo/`` is made here and committed; a test compares the two. Everything comes out of one seeded
generator (``demo_chance.py``) and ``demo_words.json``, whose companies and people are invented. Days count from an
anchor day that the loader chooses: -30 is thirty days before it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from demo_dealings import Dealings

HERE = Path(__file__).parent
SEED = 20261101
PASSWORD = "ratoon-demo-2026"


def documents() -> dict[str, str]:
    """File name → content of every demo file."""
    demo = Dealings(json.loads((HERE / "demo_words.json").read_text(encoding="utf-8")), SEED)
    parts = {
        "10_user": demo.users,
        "20_product": demo.products,
        "30_account": demo.accounts,
        "40_contact": demo.contacts,
        "50_campaign": demo.campaigns,
        "60_opportunity": demo.opportunities,
        "61_opportunity_line": demo.lines,
        "70_lead": demo.leads,
        "80_case": demo.cases,
        "90_activity": demo.activities,
    }
    files: dict[str, dict[str, Any]] = {}
    for name, records in parts.items():
        files[name] = {"kind": "demo", "object": name.partition("_")[2], "records": records}
    files["10_user"]["password"] = PASSWORD
    done_long_ago = {"day": -1, "where": "AND(NOT(done), due < NOW() - 2)", "values": {"done": True}}
    files["90_activity"]["updates"] = [done_long_ago]
    files["60_opportunity"]["submissions"] = demo.submissions
    return {
        f"{name}.json": json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
        for name, data in files.items()
    }


def main(folder: Path) -> None:
    """Writes the files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "objects" / "_demo")
