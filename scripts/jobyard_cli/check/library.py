"""Modules of the library that Airflow imports, for a Python without Airflow."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# `jobyard` itself imports Airflow; the same folder, as a package of another name, does not.
_PACKAGE = "jobyard_without_airflow"


@cache
def library(name: str) -> Any:
    """The module of that name, which imports nothing of Airflow's, and others of the library relatively."""
    if _PACKAGE not in sys.modules:
        spec = find_spec("jobyard")
        assert spec is not None
        package = ModuleType(_PACKAGE)
        package.__path__ = list(spec.submodule_search_locations or [])
        sys.modules[_PACKAGE] = package
    return import_module(f"{_PACKAGE}.{name}")
