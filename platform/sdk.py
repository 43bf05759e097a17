"""What a plugin may import. Everything here keeps its name and meaning within a major version; nothing else does.

    from ratoon.platform.sdk import FieldType, NavigationEntry, define, hookimpl

The hooks themselves are in ``hookspecs.py``.

=================== ==================================================================================
hooks               ``hookimpl``, ``NavigationEntry``
records             ``RecordService``, ``Query``, ``Page``, ``Change``, ``Draft``, ``Event``
who and when        ``Actor``, ``SYSTEM``, ``system_actor``, ``World``, ``Environment``, ``Settings``
metadata            ``Registry``, ``Object``, ``Field``
field types         ``FieldType``, ``FieldSpec``, ``Part``, ``Option``, ``part``, ``text_part``,
                    ``integer_part``, ``decimal_part``, ``reference_part``, ``TextType``
formulas            ``define``, ``overload``, ``Function``, ``Formula``, ``EvalContext``, ``Type``
automation          ``ActionType``, ``ActionRun``, ``TriggerType``, ``fire``
jobs                ``JobType``, ``JobRun``, ``Again``, ``GiveUp``, ``About``, ``enqueue``, ``reschedule``, ``cancel``
settings            ``package_settings(connection, package)``: what the package asks for in this environment
refusals            ``Problem`` and every error of ``errors.py`` that a plugin raises or catches
=================== ==================================================================================
"""

from __future__ import annotations

from ratoon.platform.access.actor import SYSTEM, Actor, system_actor
from ratoon.platform.automation.actions import ActionRun, ActionType
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    FormulaError,
    Invalid,
    NotFound,
    Problem,
    RatoonError,
    Stale,
    ValidationFailed,
)
from ratoon.platform.fields.base import FieldSpec, FieldType, Option, Part
from ratoon.platform.fields.faces import decimal_part, part, reference_part, text_part
from ratoon.platform.fields.integer import integer_part
from ratoon.platform.fields.text import TextType
from ratoon.platform.formulas import Formula, Function, define
from ratoon.platform.formulas.functions import overload
from ratoon.platform.formulas.types import EvalContext, Type
from ratoon.platform.hookspecs import NavigationEntry, hookimpl
from ratoon.platform.jobs import About, Again, GiveUp, JobRun, JobType, cancel, enqueue, reschedule
from ratoon.platform.jobs.firing import fire
from ratoon.platform.metadata.model import Field, Object, Registry
from ratoon.platform.metadata.trigger_model import TriggerType
from ratoon.platform.packages.environment_settings import package_settings
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.engine import Event
from ratoon.platform.records.reading import Page, Query
from ratoon.platform.records.service import RecordService

__all__ = [
    "SYSTEM",
    "About",
    "ActionRun",
    "ActionType",
    "Actor",
    "Again",
    "BadRequest",
    "Change",
    "Conflict",
    "Draft",
    "Environment",
    "EvalContext",
    "Event",
    "Field",
    "FieldSpec",
    "FieldType",
    "Forbidden",
    "Formula",
    "FormulaError",
    "Function",
    "GiveUp",
    "Invalid",
    "JobRun",
    "JobType",
    "NavigationEntry",
    "NotFound",
    "Object",
    "Option",
    "Page",
    "Part",
    "Problem",
    "Query",
    "RatoonError",
    "RecordService",
    "Registry",
    "Settings",
    "Stale",
    "TextType",
    "TriggerType",
    "Type",
    "ValidationFailed",
    "World",
    "cancel",
    "decimal_part",
    "define",
    "enqueue",
    "fire",
    "hookimpl",
    "integer_part",
    "overload",
    "package_settings",
    "part",
    "reference_part",
    "reschedule",
    "system_actor",
    "text_part",
]
