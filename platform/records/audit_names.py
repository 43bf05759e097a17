"""What the parts of the metadata are called that an entry of the audit trail names: labels instead of names.

What is no longer there is called by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ratoon.platform.access.actor import PERMISSION_SET
from ratoon.platform.errors import Text, say
from ratoon.platform.metadata.documents import FOLDERS, TOP_FOLDERS
from ratoon.platform.metadata.model import Registry

KIND_NAMES: Mapping[str, Text] = MappingProxyType(
    {
        "package": say("package"), "object": say("object"), "extension": say("extension"), "pipeline": say("pipeline"),
        "layout": say("layout"), "view": say("view"), "automation": say("automation"),
        "duplicate": say("duplicate rule"), "assignment": say("assignment"), "picklist": say("picklist"),
        "role": say("role"), "permission_set": say("permission set"), "sharing": say("sharing rule"),
        "template": say("template"), "calendar": say("calendar"), "approval": say("approval"),
        "strings": say("translations"), "data": say("data"), "test": say("test"),
    }
)  # fmt: skip
"""Kind of document → what it is called in the middle of a sentence."""


def component_said(registry: Registry, file: str) -> Text:
    """A component by what it is and its name: ``crm/account/views/all.json`` → view “All” of Account."""
    package, _, path = file.partition("/")
    parts = path.removesuffix(".json").split("/")
    if len(parts) == 1:
        return say("{kind} “{name}”", kind=KIND_NAMES["package"], name=package_said(registry, package))
    if len(parts) == 3 and parts[1] in FOLDERS:
        object, folder, name = parts
        whose = object_said(registry, object)
        return say("{kind} “{name}” of {object}", kind=KIND_NAMES[FOLDERS[folder]], name=_labelled(registry, *parts),
                   object=whose)  # fmt: skip
    if parts[0] in TOP_FOLDERS:
        kind = TOP_FOLDERS[parts[0]]
        name = "/".join(parts[1:])
        called: str = name
        if kind in ("role", "permission_set"):
            called = role_said(registry, name if kind == "role" else PERMISSION_SET + name)
        return say("{kind} “{name}”", kind=KIND_NAMES[kind], name=called)
    kind = parts[-1] if parts[-1] in KIND_NAMES else "object"
    return say("{kind} “{name}”", kind=KIND_NAMES[kind], name=object_said(registry, parts[0]))


def _labelled(registry: Registry, object: str, folder: str, name: str) -> str:
    """The label of a part of an object, where it has one and is still there."""
    found = registry.objects.get(object)
    if found is not None:
        groups: Mapping[str, Sequence[Any]] = {
            "views": found.views, "pipelines": found.pipelines, "layouts": found.layouts,
            "automations": (*found.automations, *found.resting),
        }  # fmt: skip
        for one in groups.get(folder, ()):
            if one.name == name and one.label:
                return Text(one.label)
    return name


def role_said(registry: Registry, name: str) -> str:
    """A role or permission set as the tables of grants name it."""
    bare = name.removeprefix(PERMISSION_SET)
    there = registry.access.permission_sets if name != bare else registry.roles
    return Text(there[bare].label) if bare in there else bare


def object_said(registry: Registry, name: str) -> str:
    """An object by its label."""
    found = registry.objects.get(name)
    return Text(found.label) if found is not None else name


def field_said(registry: Registry, object: str, key: str) -> str:
    """A field by its label."""
    found = registry.objects[object].field_of.get(key) if object in registry.objects else None
    return Text(found.label) if found is not None else key


def package_said(registry: Registry, name: str, version: str | None = None) -> str:
    """A package by its label, with the version."""
    label = Text(registry.packages[name].label) if name in registry.packages else name
    return say("{package} {version}", package=label, version=version) if version else label
