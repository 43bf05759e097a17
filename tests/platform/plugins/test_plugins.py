"""The loader: entry points, manifests beside modules, hooks that exist and hooks that do not."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from ratoon.platform import hookspecs, plugins
from ratoon.platform.hookspecs import hookimpl
from ratoon.platform.plugins import HOOKS, PluginFailed, Plugins, load_plugins


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_explains_itself_and_names_its_arguments(hook: str) -> None:
    function = getattr(hookspecs, hook)
    assert len(inspect.getdoc(function) or "") > 40
    assert all(
        parameter.annotation is not inspect.Parameter.empty
        for parameter in inspect.signature(function).parameters.values()
    )


def test_the_readme_lists_every_hook_and_no_other() -> None:
    readme = Path(plugins.__file__).with_name("README.md").read_text(encoding="utf-8")
    table = readme.partition("## The hooks")[2]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == HOOKS


def test_the_standard_package_comes_in_through_the_same_door() -> None:
    found = {info.name: info for info in load_plugins(disabled=["screens"])}
    assert found["standard"].source == "ratoon.objects"


def test_a_plugin_can_be_left_out() -> None:
    assert list(load_plugins(disabled=["standard", "screens"])) == []


class Tidy:
    """A plugin that is an object, not a module."""

    @hookimpl
    def before_save(self, object: str) -> None:
        """Nothing."""


def test_a_plugin_says_which_hooks_it_implements() -> None:
    known = Plugins()
    known.add(Tidy(), "tidy")
    (info,) = known
    assert (info.name, info.hooks, info.packages) == ("tidy", ("before_save",), ())
    assert known.implementers("before_save") == ("tidy",)


class Mistaken:
    @hookimpl
    def before_safe(self) -> None:
        """Nothing."""


class WrongArgument:
    @hookimpl
    def before_save(self, record: str) -> None:
        """Nothing."""


@pytest.mark.parametrize(("plugin", "word"), [(Mistaken(), "before_safe"), (WrongArgument(), "record")])
def test_a_plugin_that_does_not_fit_the_contract_is_refused(plugin: object, word: str) -> None:
    known = Plugins()
    with pytest.raises(PluginFailed) as refused:
        known.add(plugin, "mistaken")
    assert word in str(refused.value)
    assert list(known) == []


def test_two_plugins_cannot_have_one_name() -> None:
    known = Plugins()
    known.add(Tidy(), "tidy")
    with pytest.raises(PluginFailed):
        known.add(Tidy(), "tidy")


def test_lists_from_several_plugins_are_joined_in_the_order_of_the_plugins() -> None:
    class First:
        @hookimpl
        def template_folders(self) -> list[Path]:
            return [Path("a"), Path("b")]

    class Second:
        @hookimpl
        def template_folders(self) -> list[Path]:
            return [Path("c")]

    known = Plugins()
    known.add(First(), "first")
    known.add(Second(), "second")
    assert known.collect("template_folders") == [Path("a"), Path("b"), Path("c")]


@pytest.fixture
def importable(tmp_path: Path) -> Iterator[Path]:
    """A folder on the import path."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


def package(folder: Path, name: str, requires: dict[str, str] | None = None) -> Path:
    """A folder with a manifest."""
    folder.mkdir()
    manifest = {"kind": "package", "name": name, "version": "1.0.0", "label": name, "requires": requires or {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_module_beside_a_manifest_brings_its_folder_without_any_python(importable: Path) -> None:
    folder = package(importable / "plugin_without_python", "no_python")
    (folder / "__init__.py").write_text('"""Metadata only."""')
    known = Plugins()
    known.add(import_module("plugin_without_python"), "no_python")
    assert known.packages() == [folder]


def test_packages_come_after_those_they_require(tmp_path: Path) -> None:
    later = package(tmp_path / "a", "later", {"earlier": ">=1.0", "elsewhere": ">=1"})
    earlier = package(tmp_path / "b", "earlier")

    class Bringer:
        @hookimpl
        def metadata_packages(self) -> list[Path]:
            return [later, earlier]

    known = Plugins()
    known.add(Bringer(), "bringer")
    assert known.packages() == [earlier, later]


def test_a_package_without_a_readable_manifest_is_named(tmp_path: Path) -> None:
    class Bringer:
        @hookimpl
        def metadata_packages(self) -> list[Path]:
            return [tmp_path]

    known = Plugins()
    known.add(Bringer(), "bringer")
    with pytest.raises(PluginFailed) as refused:
        known.packages()
    assert tmp_path.name in str(refused.value)


def test_an_entry_point_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name, value = "broken", "no.such.module"

        def load(self) -> object:
            return import_module(self.value)

    monkeypatch.setattr(plugins.metadata, "entry_points", lambda group: [Broken()])
    with pytest.raises(PluginFailed) as refused:
        load_plugins()
    assert "broken" in str(refused.value)
