"""Finding plugins and talking to them.

``load_plugins()`` reads the entry points of the group ``ratoon.plugins`` in the order of their names. ``Plugins`` is
the list of one environment; tests add their own to it. Nobody else in the product knows pluggy.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

from ratoon.platform import hookspecs
from ratoon.platform.errors import RatoonError

GROUP = "ratoon.plugins"
HOOKS: tuple[str, ...] = tuple(
    name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")
)
"""The name of every hook, in the order of ``hookspecs.py``. Documentation and tests iterate this list."""


class PluginFailed(RatoonError):
    """A plugin that cannot be imported, or implements a hook that does not exist."""

    code = "plugin_failed"


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What is known of one plugin."""

    name: str
    source: str
    """The module that is the plugin."""
    hooks: tuple[str, ...]
    """Hooks it implements, in the order of the contract."""
    packages: tuple[Path, ...]
    """Metadata packages it brings."""


class Plugins:
    """The plugins of one environment."""

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    @property
    def hook(self) -> Any:
        """Calls: ``plugins.hook.before_save(records=…, …)`` gives the list of what the implementations returned."""
        return self._pluggy.hook

    def add(self, plugin: object, name: str) -> None:
        """Adds a plugin (a module, or any object with hook methods). Raises ``PluginFailed``."""
        try:
            self._pluggy.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginFailed("The plugin {name} does not fit: {error}", name=name, error=str(error)) from error
        unknown = [
            attribute
            for attribute in dir(plugin)
            if attribute not in HOOKS
            # Only functions are looked into: a module may also hold proxies that fail when touched (flask.request).
            and type(found := getattr(plugin, attribute)) in (FunctionType, MethodType)
            and hasattr(found, f"{hookspecs.PROJECT}_impl")
        ]
        if unknown:
            self._pluggy.unregister(name=name)
            raise PluginFailed(
                "The plugin {name} implements {unknown}, which is no hook. Hooks are: {hooks}",
                name=name,
                unknown=", ".join(unknown),
                hooks=", ".join(HOOKS),
            )

    def __iter__(self) -> Iterator[PluginInfo]:
        for name, plugin in self._pluggy.list_name_plugin():
            if plugin is not None:
                yield self._info(name, plugin)

    def packages(self) -> list[Path]:
        """The folders of every metadata package that plugins bring, each after those it requires."""
        folders = {_manifest(path)["name"]: path for info in self for path in info.packages}
        order: TopologicalSorter[str] = TopologicalSorter()
        for name, path in folders.items():
            order.add(name, *(needed for needed in _manifest(path).get("requires", {}) if needed in folders))
        return [folders[name] for name in order.static_order()]

    def collect(self, hook: str, **arguments: Any) -> list[Any]:
        """The results of a hook that gives lists, in one list: in the order in which the plugins were added."""
        results: Iterable[Iterable[Any]] = getattr(self._pluggy.hook, hook)(**arguments)
        return [item for result in reversed(list(results)) for item in result]

    def implementers(self, hook: str) -> tuple[str, ...]:
        """Names of the plugins that implement a hook, in the order in which they run."""
        calls = getattr(self._pluggy.hook, hook).get_hookimpls()
        return tuple(call.plugin_name for call in reversed(calls))

    def _info(self, name: str, plugin: object) -> PluginInfo:
        hooks = tuple(hook for hook in HOOKS if name in self.implementers(hook))
        return PluginInfo(name, _module_name(plugin), hooks, tuple(self._packages_of(plugin)))

    def _packages_of(self, plugin: object) -> Iterator[Path]:
        file = getattr(plugin, "__file__", None)
        if file is not None and (Path(file).parent / "manifest.json").is_file():
            yield Path(file).parent
        calls = self._pluggy.hook.metadata_packages.get_hookimpls()
        for call in calls:
            if call.plugin is plugin:
                folders: Any = call.function()
                yield from folders


def load_plugins(disabled: Collection[str] = ()) -> Plugins:
    """Every installed plugin except the disabled ones. Raises ``PluginFailed`` naming the one that does not load."""
    plugins = Plugins()
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        if entry.name in disabled:
            continue
        try:
            plugin = entry.load()
        except (ImportError, AttributeError) as error:
            raise PluginFailed(
                "The plugin {name} ({value}) cannot be loaded: {error}",
                name=entry.name,
                value=entry.value,
                error=str(error),
            ) from error
        plugins.add(plugin, entry.name)
    return plugins


def _module_name(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__qualname__


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a package, read only for its name and needs; the metadata room checks it properly."""
    try:
        data = json.loads((folder / "manifest.json").read_bytes())
        data["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PluginFailed("The package {folder} has no readable manifest.", folder=folder.name) from error
    return dict(data)
