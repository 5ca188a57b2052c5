"""Check parameters whose default Airflow's form would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.schema import KINDS, show
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo

NUMBERS = ("integer", "number")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
}
"""JSON Schema types and their classes; the first that fits is a value's type."""


def check_parameters(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each parameter that contradicts itself."""
    del repo
    for name, param in mapping(document.data.get("params")).items():
        if isinstance(param, dict) and "default" in param:
            yield from _param(document, ("params", name), param)


def kind_of(value: Any) -> str:
    """Return the JSON Schema type that a parameter with this default gets: null and lists count as strings."""
    for kind in _TYPES:
        if _fits(value, kind):
            return kind
    return "string"


def _param(document: Document, path: KeyPath, param: dict[str, Any]) -> Iterator[Finding]:
    default = param["default"]
    kind = param.get("type", kind_of(default))
    if kind not in KINDS:
        return
    if default is not None and not _fits(default, kind):
        message = f"'default' must be {KINDS[kind]}; got {show(default)}"
        yield document.finding((*path, "default"), message, "param")
    if isinstance(param.get("enum"), list):
        yield from _choices(document, path, param, kind)
    yield from _bounds(document, path, param, kind)


def _choices(document: Document, path: KeyPath, param: dict[str, Any], kind: str) -> Iterator[Finding]:
    default = param["default"]
    for index, choice in enumerate(param["enum"]):
        if not _fits(choice, kind):
            message = f"each value of 'enum' must be {KINDS[kind]}, like the default; got {show(choice)}"
            yield document.finding((*path, "enum", index), message, "param")
    # In Python, 1 == True.
    if not any(choice == default and type(choice) is type(default) for choice in param["enum"]):
        message = f"'default' must be one of the values of 'enum'; got {show(default)}"
        yield document.finding((*path, "default"), message, "param")


def _bounds(document: Document, path: KeyPath, param: dict[str, Any], kind: str) -> Iterator[Finding]:
    bounds = {name: param[name] for name in ("minimum", "maximum") if _fits(param.get(name), "number")}
    if kind not in NUMBERS:
        for name in bounds:
            message = f"'{name}' requires a parameter of type number or integer; this one is {KINDS[kind]}"
            yield document.finding((*path, name), message, "param")
        return
    default = param["default"]
    minimum = bounds.get("minimum", float("-inf"))
    maximum = bounds.get("maximum", float("inf"))
    if minimum > maximum:
        message = f"'maximum' must be at least 'minimum', {minimum}; got {maximum}"
        yield document.finding((*path, "maximum"), message, "param")
    elif _fits(default, "number") and (default < minimum or default > maximum):
        message = f"'default' must be within the parameter's bounds; got {default}"
        yield document.finding((*path, "default"), message, "param")


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])
