"""What metadata may be written in, without opening a database: the product's types and functions and the plugins'."""

from __future__ import annotations

from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas import builtin_functions
from ratoon.platform.metadata.documents import Document, read_package
from ratoon.platform.packages.checking import Language
from ratoon.platform.plugins import load_plugins


def offline_language() -> tuple[Language, list[Document]]:
    """The language, and the documents of the packages that come with the product and its plugins."""
    plugins = load_plugins()
    types = builtin_types()
    for kind in plugins.collect("field_types"):
        types.add(kind)
    functions = builtin_functions().plus(plugins.collect("formula_functions"))
    actions = frozenset(action.name for action in plugins.collect("automation_actions"))
    documents = [document for folder in plugins.packages() for document in read_package(folder)]
    triggers = frozenset(trigger.name for trigger in plugins.collect("automation_triggers"))
    return Language(types, functions, actions, triggers), documents
