"""Legal argument cases of every kernel: one module an operator family, and a table of them by name."""

from fxpgrad.conformance.cases.table import legal_case

__all__ = ["legal_case"]
