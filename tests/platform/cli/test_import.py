"""``ratoon import``: what goes in, and what is said about the lines that do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ratoon.platform.errors import BadRequest, NotFound
from ratoon.platform.records import importing

Run = Callable[..., Result]

FIELDS = [
    {"name": "name", "type": "text", "label": "Name", "required": True},
    {"name": "ref", "type": "text", "label": "Reference", "external_id": True, "unique": True},
    {"name": "amount", "type": "decimal", "label": "Amount"},
    {"name": "above", "type": "lookup", "label": "Above", "object": "plant"},
]


@pytest.fixture
def plants(run: Run, tmp_path: Path) -> Run:
    """Commands on a database that has the object plant; ``data`` files lie in the current folder."""
    (tmp_path / "garden" / "plant").mkdir(parents=True)
    manifest = {"kind": "package", "name": "garden", "version": "1.0.0", "label": "Garden"}
    plant = {"kind": "object", "name": "plant", "label": "Plant", "plural_label": "Plants", "title": "name"}
    (tmp_path / "garden" / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "garden" / "plant" / "object.json").write_text(json.dumps({**plant, "fields": FIELDS}))
    run("apply", "garden")
    return run


def test_problems_name_line_and_field_and_lines_are_counted_once(plants: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("name,amount\nOak,1\n,many\nElm,2,3\n\nAsh,x\n")
    result = plants("import", "plant", "p.csv", ok=False)
    assert result.exit_code == 1
    assert result.stdout == "1 record imported, 3 of 4 lines refused.\n"
    assert "line 3, amount: " in result.stderr
    assert "line 4: There are 3 values; the first line names 2 keys." in result.stderr
    assert "line 6, amount: " in result.stderr
    (tmp_path / "q.csv").write_text("name\nFir\n")
    assert plants("import", "plant", "q.csv").output == "1 record imported.\n"


def test_a_file_in_another_encoding_is_refused_in_one_sentence_and_read_when_it_is_named(
    plants: Run, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_bytes("name\nOak\n橡树\n".encode("gb18030"))
    refused = plants("import", "plant", "p.csv", ok=False).exception
    assert isinstance(refused, BadRequest)
    assert refused.text().startswith("p.csv, line 3: this is not UTF-8; say what it is with --encoding (gb18030")
    result = plants("import", "plant", "p.csv", "--encoding", "gb18030")
    assert "2 records imported." in result.output
    assert plants("import", "plant", "p.csv", "--encoding", "klingon", ok=False).exit_code == 2


@pytest.mark.parametrize(
    ("head", "said"), [("name,ref,name", "the first line names name twice"), ("", "names no keys")]
)
def test_a_first_line_that_names_no_record_is_refused(plants: Run, tmp_path: Path, head: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(f"{head}\nOak,1,2\n" if head else "")
    refused = plants("import", "plant", "p.csv", ok=False).exception
    assert isinstance(refused, BadRequest)
    assert said in refused.text()


def test_an_unknown_object_is_told_once(plants: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("name\nOak\nElm\n")
    refused = plants("import", "plnt", "p.csv", ok=False).exception
    assert isinstance(refused, NotFound)
    assert "Did you mean plant?" in refused.text()


def test_a_line_that_is_no_json_does_not_stop_the_groups_after_it(
    plants: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "GROUP", 2)
    lines = ['{"name": "Oak"}', '{"name": "Elm"}', '{"name": ', "[1]", '{"name": "Ash"}']
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    answer = json.loads(plants("import", "plant", "p.jsonl", "--json", ok=False).stdout)
    assert (answer["done"], answer["lines"], answer["refused_lines"]) == (3, 5, 2)
    assert [problem["line"] for problem in answer["refused"]] == [3, 4]


def test_a_lookup_is_found_by_an_external_id_of_its_target(plants: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("ref,name\nO,Oak\nE,Elm\n")
    plants("import", "plant", "p.csv", "--key", "ref")
    (tmp_path / "q.csv").write_text("ref,name,above.ref\nA,Acorn,O\nB,Bark,\nC,Cone,Z\nD,Deep,A\n")
    result = plants("import", "plant", "q.csv", "--key", "ref", ok=False)
    assert "3 records imported, 1 of 4 lines refused." in result.stdout
    assert "line 4, above.ref: There is no plant whose ref is Z." in result.stderr
    (tmp_path / "r.csv").write_text("name,above.ref\nTwig,B\n")
    assert plants("import", "plant", "r.csv").output == "1 record imported.\n"


@pytest.mark.parametrize(
    ("column", "said"),
    [("above.name", "There is above.ref."), ("name.ref", "name is not a lookup of plant to one object.")],
)
def test_a_column_that_finds_nothing_says_what_would(plants: Run, tmp_path: Path, column: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(f"ref,{column}\nA,B\n")
    assert said in plants("import", "plant", "p.csv", ok=False).stderr
