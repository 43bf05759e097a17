"""Settings and secrets that a package asks for: given at apply, kept apart, never exported."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from ratoon.platform.errors import BadRequest, NotFound, ValidationFailed
from ratoon.platform.metadata.documents import canonical
from ratoon.platform.packages import Manner, SettingsMissing, Target, apply_package, export, plan_package
from ratoon.platform.packages.applying import bootstrap
from ratoon.platform.packages.environment_settings import change_settings, needs, package_settings, reseal
from ratoon.platform.packages.planning import present_documents
from ratoon.platform.storage import audit
from ratoon.platform.storage.package_settings import keep_settings
from ratoon.platform.storage.sealed import Seal, SecretKeyMissing, SecretKeyWrong, use_seal

MANIFEST: dict[str, Any] = {
    "kind": "package", "name": "pay", "version": "1.0.0", "label": "Payments",
    "settings": [
        {"name": "address", "type": "url", "label": "Address of the gateway", "required": True},
        {"name": "key", "type": "text", "label": "Its key", "secret": True, "required": True},
        {"name": "tries", "type": "integer", "label": "Tries", "default": 3},
        {"name": "limit", "type": "decimal", "label": "Highest amount"},
        {"name": "live", "type": "boolean", "label": "Real money"},
        {"name": "report_to", "type": "email", "label": "Reports go to"},
    ],
}  # fmt: skip
SOURCE = {"manifest.json": canonical(MANIFEST).encode()}
GIVEN = {"address": "https://pay.example", "pay.key": "s3cret"}


@pytest.fixture
def target(open_world: Callable[..., Any]) -> Target:
    world = open_world()
    use_seal(world.database.engine, Seal(["a long random text"]))
    return Target.of(world)


def kept(target: Target) -> dict[str, Any]:
    with target.database.read() as connection:
        return package_settings(connection, "pay")


def test_a_package_is_not_applied_without_what_it_asks_for(target: Target) -> None:
    plan = plan_package(target, SOURCE)
    assert [n.name for n in plan.upgrade.settings if n.missing] == ["address", "key"]
    with pytest.raises(SettingsMissing) as refused:
        apply_package(target, SOURCE)
    assert [need.name for need in refused.value.missing] == ["address", "key"]
    apply_package(target, SOURCE, manner=Manner(settings={**GIVEN, "limit": "9.50", "live": "yes"}))
    assert kept(target) == {
        "address": "https://pay.example", "key": "s3cret", "tries": 3, "limit": Decimal("9.50"), "live": True,
        "report_to": None,
    }  # fmt: skip
    assert plan_package(target, SOURCE).empty


def test_settings_stay_over_an_upgrade_and_are_in_no_export_plan_or_trail(target: Target) -> None:
    apply_package(target, SOURCE, manner=Manner(settings=GIVEN))
    newer = {"manifest.json": canonical({**MANIFEST, "version": "1.1.0"}).encode()}
    applied = apply_package(target, newer)
    assert kept(target)["key"] == "s3cret"
    exported = export(target, "pay")
    assert b"s3cret" not in exported.as_zip()
    assert b"pay.example" not in b"".join(exported.files.values())
    assert "s3cret" not in str(applied.as_json())
    with target.database.read() as connection:
        trail = [e for e in audit.entries(connection) if e.action == "setting_given"]
    assert {e.subject for e in trail} == {"pay.address", "pay.key"}
    assert "s3cret" not in str(trail)


def test_values_can_be_changed_without_applying(target: Target) -> None:
    apply_package(target, SOURCE, manner=Manner(settings=GIVEN))
    with target.database.write() as connection:
        documents = present_documents(connection)
        change_settings(connection, target.world.clock(), documents, "pay", {"tries": 5, "key": None}, None)
    assert (kept(target)["tries"], kept(target)["key"]) == (5, None)
    with target.database.read() as connection:
        (secret,) = [n.as_json() for n in needs(connection, present_documents(connection), {}) if n.secret]
    assert (secret["has_value"], "value" in secret) == (False, False)
    with target.database.write() as connection, pytest.raises(NotFound):
        change_settings(connection, target.world.clock(), documents, "pays", {}, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("address", "nowhere"), ("tries", "many"), ("limit", "much"), ("live", "perhaps"), ("report_to", "bob")],
)
def test_a_value_of_another_type_is_refused(target: Target, name: str, value: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        plan_package(target, SOURCE, Manner(settings={**GIVEN, name: value}))
    assert [p.field for p in refused.value.problems] == [f"pay.{name}"]


def test_a_setting_that_nobody_asks_for_is_refused(target: Target) -> None:
    with pytest.raises(BadRequest):
        plan_package(target, SOURCE, Manner(settings={"adress": "https://x.example"}))


def test_validating_keeps_nothing(target: Target) -> None:
    apply_package(target, SOURCE, validate_only=True, manner=Manner(settings=GIVEN))
    with target.database.read() as connection:
        assert all(entry.action != "setting_given" for entry in audit.entries(connection))
    with pytest.raises(SettingsMissing):
        apply_package(target, SOURCE)


def test_a_package_that_comes_with_the_product_waits_for_its_settings(
    open_world: Callable[..., Any], tmp_path: Any
) -> None:
    (tmp_path / "pay").mkdir()
    (tmp_path / "pay" / "manifest.json").write_bytes(SOURCE["manifest.json"])
    world = open_world()
    assert bootstrap(world, [tmp_path / "pay"]) is not None
    with world.database.read() as connection:
        assert package_settings(connection, "pay")["address"] is None


def in_the_database(target: Target) -> str:
    with target.database.read() as connection:
        return str(connection.execute(text("SELECT * FROM ratoon_package_setting")).all())


def test_a_secret_is_encrypted_in_the_database_and_its_key_can_be_changed(target: Target) -> None:
    apply_package(target, SOURCE, manner=Manner(settings=GIVEN))
    assert "https://pay.example" in in_the_database(target)
    assert "s3cret" not in in_the_database(target)
    use_seal(target.database.engine, Seal(["a new key", "a long random text"]))
    before = in_the_database(target)
    with target.database.write() as connection:
        assert reseal(connection) == 1
    assert in_the_database(target) != before
    use_seal(target.database.engine, Seal(["a new key"]))
    assert kept(target)["key"] == "s3cret"


def test_without_the_key_a_secret_is_neither_kept_nor_read_and_nothing_else_suffers(target: Target) -> None:
    apply_package(target, SOURCE, manner=Manner(settings=GIVEN))
    use_seal(target.database.engine, Seal(["another"]))
    with pytest.raises(SecretKeyWrong, match=r"pay\.key was encrypted with another key"):
        kept(target)
    use_seal(target.database.engine, Seal())
    with pytest.raises(SecretKeyMissing, match="RATOON_SECRET_KEY"):
        kept(target)
    assert plan_package(target, SOURCE).empty
    newer = {"manifest.json": canonical({**MANIFEST, "version": "1.1.0"}).encode()}
    with pytest.raises(SecretKeyMissing):
        apply_package(target, newer, manner=Manner(settings={"key": "more"}))
    assert apply_package(target, newer).revision


def test_a_secret_from_before_there_was_a_key_is_read_and_can_be_encrypted(target: Target) -> None:
    apply_package(target, SOURCE, manner=Manner(settings=GIVEN))
    with target.database.write() as connection:
        keep_settings(connection, "pay", {"key": "in the open"})
    assert kept(target)["key"] == "in the open"
    with target.database.write() as connection:
        reseal(connection)
    assert "in the open" not in in_the_database(target)
    assert kept(target)["key"] == "in the open"
