"""The clinic in a database: environments that packages are applied to, and edits of the package."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.metadata.documents import canonical, read_package
from ratoon.platform.packages import Applied, Plan, Target, apply_package, plan_package
from ratoon.platform.plugins import Plugins

CLINIC = Path(__file__).parents[2] / "worlds" / "clinic"


@dataclass
class Package:
    """Files of a package in memory, to be edited."""

    files: dict[str, Any] = field(
        default_factory=lambda: {d.file: copy.deepcopy(dict(d.data)) for d in read_package(CLINIC)}
    )

    @property
    def source(self) -> dict[str, bytes]:
        """What ``apply_package`` takes."""
        return {file: canonical(data).encode() for file, data in self.files.items()}

    def field(self, object_name: str, name: str) -> dict[str, Any]:
        """The declaration of a field."""
        found: dict[str, Any] = next(f for f in self.files[f"{object_name}/object.json"]["fields"] if f["name"] == name)
        return found

    def add(self, object_name: str, name: str, kind: str, **options: Any) -> None:
        """One more field."""
        declared = {"name": name, "type": kind, "label": name, **options}
        self.files[f"{object_name}/object.json"]["fields"].append(declared)

    def drop(self, object_name: str, name: str) -> None:
        """One field less, also in layouts and views."""
        document = self.files[f"{object_name}/object.json"]
        document["fields"] = [f for f in document["fields"] if f["name"] != name]


@dataclass
class Clinic:
    """An environment in which the clinic is applied."""

    environment: Environment

    @property
    def target(self) -> Target:
        """What packages are applied to."""
        return Target.of(self.environment)

    def apply(self, package: Package, **options: Any) -> Applied:
        """Applies the package."""
        return apply_package(self.target, package.source, **options)

    def plan(self, package: Package) -> Plan:
        """Plans the package."""
        return plan_package(self.target, package.source)

    def create(self, object_name: str, *values: dict[str, Any]) -> list[dict[str, Any]]:
        """Makes records."""
        return self.environment.transact(SYSTEM, lambda r: r.create(object_name, list(values), acknowledge=True))

    def get(self, object_name: str, record: str) -> dict[str, Any]:
        """One record."""
        with self.environment.read(SYSTEM) as records:
            return dict(records.get(object_name, record))


Open = Callable[[str], Environment]


@pytest.fixture
def open_at(injected: World) -> Iterator[Open]:
    """Opens environments without plugins; closes them afterwards."""
    opened: list[Environment] = []

    def run(url: str) -> Environment:
        settings = Settings(database_url=url, secret_key="test", revision_poll_seconds=0)
        opened.append(open_environment(settings, injected, Plugins()))
        return opened[-1]

    yield run
    for one in opened:
        one.close()


@pytest.fixture
def clinic(database_url: str, open_at: Open) -> Clinic:
    """The clinic, applied, without records."""
    made = Clinic(open_at(database_url))
    made.apply(Package())
    return made


@pytest.fixture
def package() -> Package:
    """The clinic package, to be edited."""
    return Package()
