"""Packages: checking, planning, applying, exporting and rolling back metadata. See README.md in this folder."""

from ratoon.platform.packages.applying import (
    Applied,
    Conditions,
    DataRefuses,
    Destructive,
    apply_documents,
    apply_package,
    bootstrap,
    history,
    plan_rollback,
    rollback,
)
from ratoon.platform.packages.checking import Checked, Language, check_documents, check_packages
from ratoon.platform.packages.declared_tests import TestsFailed
from ratoon.platform.packages.environment_settings import SettingsMissing
from ratoon.platform.packages.exporting import Export, export
from ratoon.platform.packages.merging import Choices, MergeConflict, read_resolutions
from ratoon.platform.packages.planning import Plan, plan_package
from ratoon.platform.packages.target import Drifted, Target
from ratoon.platform.packages.upgrades import Manner

__all__ = [
    "Applied",
    "Checked",
    "Choices",
    "Conditions",
    "DataRefuses",
    "Destructive",
    "Drifted",
    "Export",
    "Language",
    "Manner",
    "MergeConflict",
    "Plan",
    "SettingsMissing",
    "Target",
    "TestsFailed",
    "apply_documents",
    "apply_package",
    "bootstrap",
    "check_documents",
    "check_packages",
    "export",
    "history",
    "plan_package",
    "plan_rollback",
    "read_resolutions",
    "rollback",
]
