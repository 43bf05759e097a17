"""The formula language: one grammar, one type checker, several back ends."""

from ratoon.platform.formulas.builtin import builtin_functions
from ratoon.platform.formulas.formula import Formula, compile_formula
from ratoon.platform.formulas.functions import Function, FunctionSet, define
from ratoon.platform.formulas.sqlite import register_sqlite_functions

__all__ = [
    "Formula",
    "Function",
    "FunctionSet",
    "builtin_functions",
    "compile_formula",
    "define",
    "register_sqlite_functions",
]
