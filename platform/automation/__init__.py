"""Automations: rules that run when records are saved (see ``reactions.py``)."""

from ratoon.platform.automation.actions import ActionRun, Actions, ActionType
from ratoon.platform.automation.reactions import AutomationReactions

__all__ = ["ActionRun", "ActionType", "Actions", "AutomationReactions"]
