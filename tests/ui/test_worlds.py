"""The screens of objects that they have never heard of: a clinic made of JSON, and a plugin with a type of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins, load_plugins

WORLDS = Path(__file__).resolve().parents[1] / "worlds"
OBJECTS = ("pet_owner", "medication", "pet", "visit", "invoice", "invoice_line", "reminder", "book", "review")


@pytest.fixture(scope="session")
def worlds(new_site: Callable[[Plugins], Any]) -> Any:
    """A site with the library plugin, to which the clinic is applied while it is running."""
    spec = importlib.util.spec_from_file_location("sample_plugin_for_screens", WORLDS / "sample_plugin" / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plugins = load_plugins()
    plugins.add(module, "library")
    site = new_site(plugins)
    apply_package(Target.of(site.environment), WORLDS / "clinic")
    return site


@pytest.fixture
def keeper(worlds: Any) -> Any:
    """The administrator of that site."""
    visitor = worlds.visitor()
    visitor.sign_in("ada@example.com")
    visitor.speak("en")
    return visitor


@pytest.mark.parametrize("object", OBJECTS)
def test_an_applied_object_has_all_its_screens_without_a_restart(worlds: Any, keeper: Any, object: str) -> None:
    for rest in ("", "/new", "/trash", *(f"?view={v.name}" for v in worlds.environment.registry[object].views)):
        assert keeper.get(f"/o/{object}{rest}").status_code == 200, rest


@pytest.mark.parametrize("seed", [1, 2])
def test_records_of_every_object_go_through_their_forms(worlds: Any, keeper: Any, seed: int) -> None:
    made: dict[str, str] = {}
    for name in OBJECTS:
        object = worlds.environment.registry[name]
        values = keeper.form(keeper.get(f"/o/{name}/new").text)
        for field in object.fields.values():
            if field.system or field.computed or field.type.name in ("file", "image", "stage", "hierarchy"):
                continue
            target = next((t for t in field.targets if t in made), None)
            if field.type.name == "many_to_many":
                values[field.name] = [made[target]] if target else []
            elif field.targets:
                values.update({field.name: made.get(target or "", ""), f"{field.name}_object": target or ""})
                values.update({f"{field.name}__text": "", f"{field.name}__shown": ""})
            else:
                for key, value in field.type.sample(field.spec, seed).items():
                    values[key] = "true" if value is True else "false" if value is False else value
        response = keeper.post(f"/o/{name}/new", {k: v for k, v in values.items() if v is not None})
        assert response.status_code in (303, 422), name
        if response.status_code == 422:
            made[name] = worlds.create(name, **minimal(object, made))
        else:
            with worlds.environment.read(SYSTEM) as records:
                made[name] = records.list(_newest(name)).records[0]["id"]
        page = keeper.get(f"/o/{name}/{made[name]}")
        assert page.status_code == 200, name
        again = keeper.post(
            f"/o/{name}/{made[name]}/edit", keeper.form(keeper.get(f"/o/{name}/{made[name]}/edit").text)
        )
        assert again.status_code == 303, f"{name}: saving an unchanged form is refused"


def minimal(object: Any, made: dict[str, str]) -> dict[str, Any]:
    """Just enough for a record whose rules refuse the samples."""
    values: dict[str, Any] = {}
    for field in object.fields.values():
        if field.required and not field.computed and not field.system and field.default is None:
            target = next((t for t in field.targets if t in made), None)
            values.update({field.name: made[target]} if target else field.type.sample(field.spec, 1))
    return values


def _newest(name: str) -> Any:
    from ratoon.platform.records.reading import Query

    return Query(name, sort=["-created_at", "-id"], limit=1)


def test_a_plugin_brings_its_widget_its_page_and_its_line_in_the_menu(keeper: Any) -> None:
    assert 'data-widget="stars"' in keeper.get("/o/review/new").text
    assert 'href="/library"' in keeper.get("/").text
    page = keeper.get("/library")
    assert page.status_code == 200
    assert "Content-Security-Policy" in page.headers


def test_a_stage_path_stands_on_the_page_of_a_visit(worlds: Any, keeper: Any) -> None:
    owner = worlds.create("pet_owner", **minimal(worlds.environment.registry["pet_owner"], {}))
    pet = worlds.create("pet", name="Mochi", pet_owner=owner, species="cat")
    visit = worlds.create("visit", pet=pet, starts_at="2026-11-21T08:00:00Z", reason="Limps")
    page = keeper.get(f"/o/visit/{visit}").text
    assert 'class="rt-path"' in page
    assert "Mochi" in page
    assert f"/o/pet/{pet}" in page
