"""What the SDK hands to plugins: every way to records is in the matrix, or it is said why it need not be.

A plugin is code that an operator installs: it may open the database itself. What is proved is that ``RecordService``,
as the user for whom the plugin acts, gives no more than the screens give that user.
"""

from __future__ import annotations

import inspect

from ratoon.platform import sdk
from ratoon.platform.records.service import RecordService

WAYS = {
    "list": "reads, fields, lookups, children",
    "get": "reads, lookups",
    "aggregate": "reads, fields, lookups",
    "titles": "reads",
    "search": "search",
    "lookup": "lookups",
    "history": "reads",
    "update": "writes",
    "delete": "writes",
    "create": "writes, by_key",
    "upsert": "by_key",
    "restore": "bin",
    "stage_history": "test_doors.py: api.stages",
    "checklist": "test_doors.py: api.tasks",
    "tick": "test_doors.py: api.tick",
    "stage_path": "test_doors.py: screens.record",
    "advance": "moves records on as their stages say; answers nothing",
    "plan": "metadata: no record",
    "nested": "for automations, which act for the platform",
    "platform": "for processes of the platform",
    "editable_rows": "for approvals, before a record is submitted: writes asks the same of update and delete",
    "initiator": "whoever caused what goes on: no record",
    "saving": "the save that is going on, for reactions: code that sees the rows before they are written",
}
"""Method of ``RecordService`` → channels of ``test_matrix.py`` that go through it, or why none does."""
TRUSTED = {
    "Environment": "opens records as anybody: code of the operator",
    "SYSTEM": "the platform itself: code of the operator",
    "system_actor": "the platform itself: code of the operator",
    "package_settings": "what an administrator gave the package for itself",
    "enqueue": "runs of the plugin's own kinds, as the actor it names",
    "reschedule": "runs of the plugin's own kinds",
    "cancel": "runs of the plugin's own kinds",
    "fire": "starts automations, which act for the platform",
    "define": "formula functions see the values that a formula gives them",
    "overload": "formula functions see the values that a formula gives them",
    "Registry": "metadata: no record",
    "Object": "metadata: no record",
}
"""Names of the SDK that reach further than one user may, and why that gives nothing to users."""


def test_every_way_to_records_that_a_plugin_has_is_in_the_matrix() -> None:
    own = {name for name, value in vars(RecordService).items()
           if name[0] != "_" and (inspect.isfunction(value) or isinstance(value, property))}  # fmt: skip
    assert own == set(WAYS), "put a new method into the matrix, or say why not"


PLAIN = {
    "About", "ActionRun", "ActionType", "Actor", "Again", "Change", "Draft", "EvalContext", "Event", "Field",
    "FieldSpec", "FieldType", "Formula", "Function", "GiveUp", "JobRun", "JobType", "NavigationEntry", "Option", "Page",
    "Part", "Problem", "Query", "Settings", "TextType", "TriggerType", "Type", "World", "decimal_part", "hookimpl",
    "integer_part", "part", "reference_part", "text_part",
}  # fmt: skip
"""Values, types and what plugins implement: they hold what the platform gave them and open nothing."""


def test_every_other_name_of_the_sdk_opens_nothing_or_is_explained() -> None:
    refusals = {name for name in sdk.__all__ if inspect.isclass(made := getattr(sdk, name)) and
                issubclass(made, Exception)}  # fmt: skip
    assert set(sdk.__all__) - refusals - {"RecordService"} == (PLAIN | set(TRUSTED)) - refusals
