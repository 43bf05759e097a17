"""A plugin used for real, on both databases: object, field type, function, page, widget, action, hooks of saving."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from flask import render_template

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import create_app
from ratoon.platform.environment import Environment
from ratoon.platform.errors import MetadataRefused, ValidationFailed
from ratoon.platform.jobs import drain
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.metadata.trigger_model import TriggerType
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import HOOKS, Plugins
from ratoon.platform.records.reading import Query

FOLDER = Path(__file__).resolve().parents[2] / "worlds" / "sample_plugin"
UNUSED = {"metadata_packages", "translation_folders", "configure_app", "startup"}
"""Hooks that the sample does not need; the screens and the loader's tests use them."""


@pytest.fixture
def sample() -> ModuleType:
    """The plugin's module, as an entry point would give it."""
    spec = importlib.util.spec_from_file_location("sample_plugin", FOLDER / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plugins(sample: ModuleType) -> Plugins:
    """The sample alone."""
    made = Plugins()
    made.add(sample, "sample")
    return made


@pytest.fixture
def library(open_world: Callable[..., Environment], plugins: Plugins) -> Environment:
    """An environment with the plugin: its package was applied when it opened."""
    return open_world(plugins=plugins)


def test_the_sample_uses_every_hook_but_those_named(plugins: Plugins) -> None:
    (info,) = plugins
    assert set(info.hooks) == set(HOOKS) - UNUSED
    assert info.packages == (FOLDER,)


def test_its_object_is_there_and_its_hooks_take_part_in_saving(library: Environment, sample: Any) -> None:
    with library.write(SYSTEM) as records:
        (book,) = records.create("book", [{"title": "  The   Old  Man "}])
    assert book["title"] == "The Old Man"
    assert book["shelf_mark"] == "TOM"
    with library.read(SYSTEM) as records:
        (review,) = records.list(Query("review")).records
        assert (review["book"], review["stars"], review["text"]) == (book["id"], 3, "New on the shelf")
        assert records.get("book", book["id"])["rating"] == 3
    assert sample.committed[-1]["book"] == {book["id"]: "created"}
    assert set(sample.committed[-1]) == {"book", "review"}


def test_its_refusal_refuses_the_whole_call_and_nothing_is_told_after(library: Environment, sample: Any) -> None:
    sample.committed.clear()
    with pytest.raises(ValidationFailed) as refused, library.write(SYSTEM) as records:
        records.create("book", [{"title": "Fine"}, {"title": "A forbidden book"}])
    assert [(p.code, p.field, p.index) for p in refused.value.problems] == [("forbidden_book", "title", 1)]
    assert sample.committed == []
    with library.read(SYSTEM) as records:
        assert records.list(Query("book")).records == []


def test_its_function_works_in_filters_too(library: Environment) -> None:
    with library.write(SYSTEM) as records:
        records.create("book", [{"title": "War and Peace"}, {"title": "Emma"}])
    with library.read(SYSTEM) as records:
        found = records.list(Query("book", filter='shelf_mark = "WAP"')).records
    assert [book["title"] for book in found] == ["War and Peace"]


def test_its_field_type_checks_values(library: Environment) -> None:
    with library.write(SYSTEM) as records:
        (book,) = records.create("book", [{"title": "Emma"}])
    for stars in (0, 6, "many"):
        with pytest.raises(ValidationFailed) as refused, library.write(SYSTEM) as records:
            records.create("review", [{"book": book["id"], "text": "x", "stars": stars}])
        assert [p.field for p in refused.value.problems] == ["stars"]
    kind = library.types["stars"]
    field = library.registry["review"].fields["stars"]
    assert kind.show(field.spec, {"stars": 2}, "en", "UTC") == "★★☆☆☆"


def test_its_page_and_its_widget_are_served(library: Environment, plugins: Plugins) -> None:
    with library.write(SYSTEM) as records:
        records.create("book", [{"title": "Emma <b>"}])
    app = create_app(library, plugins)
    page = app.test_client().get("/library")
    assert page.status_code == 200
    assert "<li>Emma &lt;b&gt; (E&lt;)</li>" in page.text

    field = SimpleNamespace(name="stars", values={"stars": "4"})
    with app.test_request_context("/"):
        assert 'value="4"' in render_template("widgets/stars.html", f=field)


def test_its_line_is_in_the_navigation(library: Environment, plugins: Plugins) -> None:
    (entry,) = plugins.collect("navigation", environment=library, actor=SYSTEM)
    assert (entry.label, entry.url) == ("Library", "/library")


def test_its_action_can_be_used_by_automations(library: Environment) -> None:
    documents = [
        {"kind": "package", "name": "loud", "version": "1.0.0", "label": "Loud", "requires": {"library": ">=1.0"}},
        {"kind": "automation", "object": "book", "name": "shout", "label": "Shout", "on": ["created"],
         "when": "after", "actions": [{"type": "shout"}]},
    ]  # fmt: skip
    files = {place(str(d["kind"]), d): canonical(d).encode() for d in documents}
    apply_package(Target.of(library), files)
    with library.write(SYSTEM) as records:
        (book,) = records.create("book", [{"title": "Emma"}])
    assert book["title"] == "EMMA"


def test_its_trigger_starts_automations_of_the_record_it_names(library: Environment) -> None:
    rule = {"kind": "automation", "object": "book", "name": "loud", "label": "Loud", "on": ["book_praised"],
            "when": "after_commit", "condition": 'title <> "Silence"', "actions": [{"type": "shout"}]}  # fmt: skip
    package = {"kind": "package", "name": "loud", "version": "1.0.0", "label": "Loud", "requires": {"library": ">=1.0"}}

    def apply(*documents: dict[str, Any]) -> None:
        apply_package(Target.of(library), {place(str(d["kind"]), d): canonical(d).encode() for d in documents})

    with pytest.raises(MetadataRefused) as error:
        apply(package, {**rule, "on": ["book_prized"], "when": "after"})
    assert {(f.code, f.pointer) for f in error.value.findings} == {
        ("unknown_trigger", "/on/0"),
        ("not_before", "/when"),
    }
    apply(package, rule)
    with library.write(SYSTEM) as records:
        (emma, silence) = records.create("book", [{"title": "Emma"}, {"title": "Silence"}])
    drain(library)  # the job praises both
    with library.read(SYSTEM) as records:
        assert records.get("book", emma["id"])["title"] == "EMMA"
        assert records.get("book", silence["id"])["title"] == "Silence"


def test_a_trigger_has_a_name_of_its_own() -> None:
    for name in ("created", "date", "Book", "a_name_that_is_too_long_for_it"):
        with pytest.raises(ValueError, match="cannot be the name"):
            TriggerType(name, "Name")


def test_its_job_runs_after_the_commit(library: Environment) -> None:
    with library.write(SYSTEM) as records:
        (book,) = records.create("book", [{"title": "Emma"}])
    assert drain(library) == 1
    with library.read(SYSTEM) as records:
        assert records.get("book", book["id"])["rating"] == 4


def test_explain_shows_the_plugin_in_its_place(library: Environment) -> None:
    engine = library.engine
    book = engine.registry["book"]
    assert [step.name for step in engine.reactions.explain(book, "created", "before")] == ["sample.before_save"]
    assert [step.name for step in engine.reactions.explain(book, "created", "after")] == ["sample.after_save"]
