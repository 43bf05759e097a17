"""The formula language: one grammar, one type checker, several back ends."""

from ratoon.platform.formulas.formula import Formula, compile_formula

__all__ = ["Formula", "compile_formula"]
