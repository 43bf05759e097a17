"""What is exported is what was applied, byte for byte, every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.errors import Conflict, NotFound
from ratoon.platform.metadata.documents import read_package
from ratoon.platform.packages import export

CLINIC = Path(__file__).parents[2] / "worlds" / "clinic"


def contents(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*.json")}


def test_a_package_comes_out_as_it_went_in(clinic: Any, tmp_path: Path) -> None:
    export(clinic.target, "clinic").write(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(CLINIC)


def test_a_zip_is_the_same_every_time_and_can_be_applied_again(clinic: Any, tmp_path: Path) -> None:
    exported = export(clinic.target, "clinic")
    exported.write(tmp_path / "one.zip")
    assert (tmp_path / "one.zip").read_bytes() == export(clinic.target, "clinic").as_zip()
    assert [d.file for d in read_package(tmp_path / "one.zip")] == [d.file for d in read_package(CLINIC)]


def test_all_packages_go_into_a_folder_each_without_the_built_in_one(clinic: Any) -> None:
    exported = export(clinic.target)
    assert exported.packages == ("clinic",)
    assert "clinic/pet/object.json" in exported.files
    assert export(clinic.target, "system").files["manifest.json"]


def test_an_earlier_revision_can_be_exported(clinic: Any, package: Any) -> None:
    package.add("pet", "colour", "text")
    clinic.apply(package)
    assert b'"colour"' in export(clinic.target, "clinic").files["pet/object.json"]
    assert b'"colour"' not in export(clinic.target, "clinic", revision=2).files["pet/object.json"]


def test_an_unknown_package_is_refused(clinic: Any) -> None:
    with pytest.raises(NotFound):
        export(clinic.target, "clinik")


def test_what_is_there_is_only_replaced_when_asked(clinic: Any, tmp_path: Path) -> None:
    (tmp_path / "pet").mkdir()
    (tmp_path / "pet" / "old.json").write_text("{}")
    (tmp_path / "README.md").write_text("stays")
    exported = export(clinic.target, "clinic")
    with pytest.raises(Conflict):
        exported.write(tmp_path)
    exported.write(tmp_path, overwrite=True)
    assert contents(tmp_path) == contents(CLINIC)
    assert (tmp_path / "README.md").exists()
