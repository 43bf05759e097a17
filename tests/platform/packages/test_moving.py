"""Packages on their way from one environment to another: sealed, picked, several at once, and taken away again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.errors import BadRequest, Conflict, MetadataRefused, NotFound
from ratoon.platform.packages import Destructive, Manner, Target, apply_package, export, plan_package, rollback
from ratoon.platform.packages.applying import bootstrap
from ratoon.platform.packages.sealing import Trust, create_key, read_key
from ratoon.platform.packages.uninstalling import plan_uninstall, uninstall

GARDEN: list[dict[str, Any]] = [
    {"kind": "package", "name": "garden", "version": "1.0.0", "label": "Garden", "requires": {"clinic": ">=1,<2"}},
    {"kind": "extension", "object": "pet", "fields": [{"name": "eats", "type": "text", "label": "Eats"}]},
    {"kind": "object", "name": "plant", "label": "Plant", "plural_label": "Plants", "title": "name", "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "eaten_by", "type": "lookup", "label": "Eaten by", "object": "pet"}]},
    {"kind": "view", "object": "plant", "name": "all", "label": "All", "columns": ["name"]},
]  # fmt: skip


@pytest.fixture
def garden(open_world: Callable[..., Any], clinic_folder: Path) -> Any:
    """An environment with the clinic and a package that adds to it."""
    return open_world(clinic_folder, GARDEN)


@pytest.fixture
def clinic_folder() -> Path:
    return Path(__file__).parents[2] / "worlds" / "clinic"


def changed_zip(content: bytes, **files: bytes | None) -> bytes:
    """The zip with files changed, added, or (``None``) taken out."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            if (data := files.pop(name, old.read(name))) is not None:
                new.writestr(name, data)
        for name, data in files.items():
            new.writestr(name, data or b"")
    return made.getvalue()


def codes(error: pytest.ExceptionInfo[MetadataRefused]) -> set[str]:
    return {finding.code for finding in error.value.findings}


def test_all_packages_arrive_elsewhere_byte_for_byte(garden: Any, open_world: Callable[..., Any]) -> None:
    everything = export(Target.of(garden)).as_zip()
    other = Target.of(open_world())
    applied = apply_package(other, everything)
    assert export(other).as_zip() == everything
    assert plan_package(other, everything).empty
    assert {"clinic", "garden"} <= applied.plan.after.packages.keys()


def test_a_folder_of_packages_with_checksums_is_an_export_too(
    garden: Any, open_world: Callable[..., Any], tmp_path: Path
) -> None:
    export(Target.of(garden)).sealed().write(tmp_path / "all")
    other = Target.of(open_world())
    apply_package(other, tmp_path / "all")
    assert export(other).files == export(Target.of(garden)).files


def test_what_was_changed_after_the_export_is_refused(clinic: Any, open_world: Callable[..., Any]) -> None:
    content = export(clinic.target, "clinic").as_zip()
    other = Target.of(open_world())
    for change, code in (
        ({"roles/vet.json": b"{}"}, "checksum_differs"),
        ({"roles/vet.json": None}, "checksum_missing"),
        ({"roles/thief.json": b"{}"}, "checksum_missing"),
        ({"_checksums.json": b"[]"}, "bad_seal"),
    ):
        with pytest.raises(MetadataRefused) as refused:
            plan_package(other, changed_zip(content, **change))
        assert code in codes(refused)


def test_a_signature_says_who_made_it(clinic: Any, open_world: Callable[..., Any], tmp_path: Path) -> None:
    ours, theirs = (create_key(tmp_path / name) for name in ("ours.pem", "theirs.pem"))
    with pytest.raises(Conflict):
        create_key(tmp_path / "ours.pem")
    assert (tmp_path / "ours.pem").stat().st_mode & 0o077 == 0
    signed = export(clinic.target, "clinic").sealed(read_key(tmp_path / "ours.pem")).as_zip()
    world = open_world(trusted_keys=ours, require_signature=True)
    with pytest.raises(MetadataRefused) as refused:
        plan_package(Target.of(world), export(clinic.target, "clinic").as_zip())
    assert codes(refused) == {"unsigned"}
    stranger = Target.of(world).__class__(world.database, Target.of(world).language, trust=Trust(frozenset([theirs])))
    with pytest.raises(MetadataRefused) as refused:
        plan_package(stranger, signed)
    assert codes(refused) == {"unknown_signer"}
    listed = json.loads(zipfile.ZipFile(io.BytesIO(signed)).read("_checksums.json"))
    listed["files"]["roles/vet.json"] = "0" * 64
    with pytest.raises(MetadataRefused) as refused:
        plan_package(Target.of(world), changed_zip(signed, **{"_checksums.json": json.dumps(listed).encode()}))
    assert codes(refused) >= {"bad_signature", "checksum_differs"}
    apply_package(Target.of(world), signed)
    (tmp_path / "no.pem").write_text("hello")
    with pytest.raises(BadRequest):
        read_key(tmp_path / "no.pem")


def test_picked_components_bring_what_they_need(garden: Any) -> None:
    picked = export(Target.of(garden), components=["object/plant"])
    assert picked.packages == ("clinic", "garden")
    assert {"garden/plant/object.json", "garden/plant/views/all.json", "clinic/pet/object.json"} <= picked.files.keys()
    assert "clinic/picklists/species.json" in picked.files
    assert "garden/pet/extension.json" not in picked.files
    with pytest.raises(NotFound, match="object/plant"):
        export(Target.of(garden), components=["object/plent"])


def test_applying_picked_components_leaves_the_rest_where_it_is(clinic: Any, open_world: Callable[..., Any]) -> None:
    from_dev = clinic
    data = json.loads(export(from_dev.target, "clinic").files["roles/vet.json"])
    other = open_world(Path(__file__).parents[2] / "worlds" / "clinic")
    picked = export(from_dev.target, components=["role/vet"])
    files = dict(picked.files)
    files["roles/vet.json"] = json.dumps({**data, "label": "Veterinary surgeon"}).encode()
    plan = plan_package(Target.of(other), files)
    assert [(c.action, c.file) for c in plan.components] == [("changed", "roles/vet.json")]
    apply_package(Target.of(other), files)
    assert export(Target.of(other)).files.keys() == export(from_dev.target).files.keys()
    empty = open_world()
    apply_package(Target.of(empty), picked.as_zip())
    assert "vet" in empty.registry.roles


def test_a_package_goes_only_after_those_that_need_it_and_comes_back_with_its_data(garden: Any) -> None:
    target = Target.of(garden)
    with pytest.raises(MetadataRefused) as refused:
        plan_uninstall(target, "clinic")
    assert "missing_package" in codes(refused)
    from ratoon.platform.access.actor import SYSTEM

    made = garden.transact(SYSTEM, lambda r: r.create("plant", [{"name": "Fern"}]))
    with pytest.raises(Destructive):
        uninstall(target, "garden")
    revision = garden.registry.revision
    uninstall(target, "garden", allow_destructive=True)
    assert "plant" not in garden.registry.objects
    assert "eats" not in garden.registry["pet"].fields
    assert bootstrap(garden, []) is None
    rollback(target, revision)
    with garden.read(SYSTEM) as records:
        assert records.get("plant", made[0]["id"])["name"] == "Fern"
    for name, error in (("system", Conflict), ("gardn", NotFound)):
        with pytest.raises(error):
            plan_uninstall(target, name)


def test_a_package_that_came_with_the_product_stays_away_when_it_was_uninstalled(
    open_world: Callable[..., Any], clinic_folder: Path
) -> None:
    world = open_world()
    assert bootstrap(world, [clinic_folder]) is not None
    uninstall(Target.of(world), "clinic", allow_destructive=True)
    assert bootstrap(world, [clinic_folder]) is None
    apply_package(Target.of(world), clinic_folder)
    assert bootstrap(world, [clinic_folder]) is None


def test_a_version_that_others_cannot_live_with_is_refused(garden: Any, package: Any) -> None:
    package.files["manifest.json"]["version"] = "2.0.0"
    with pytest.raises(MetadataRefused) as refused:
        plan_package(Target.of(garden), package.source)
    assert "wrong_version" in codes(refused)


def test_an_edit_of_a_picked_part_stays_an_edit(clinic: Any) -> None:
    files = dict(export(clinic.target, components=["role/vet"]).files)
    data = json.loads(files["roles/vet.json"])
    files["roles/vet.json"] = json.dumps({**data, "label": "Doctor"}).encode()
    applied = apply_package(clinic.target, files, manner=Manner(edit=True))
    assert [c.file for c in applied.plan.upgrade.local] == ["roles/vet.json"]
