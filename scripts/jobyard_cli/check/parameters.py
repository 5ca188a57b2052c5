"""Parameters whose default Airflow's form would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.schema import KINDS, show
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo

NUMBERS = ("integer", "number")


def check_parameters(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each parameter that contradicts itself."""
    del repo
    for name, param in mapping(document.data.get("params")).items():
        if isinstance(param, dict) and "default" in param:
            yield from _param(document, ("params", name), param)


def kind_of(value: Any) -> str:
    """The JSON Schema type of a plain value."""
    if value is None:
        return "string"
    return next(
        kind
        for types, kind in ((bool, "boolean"), (int, "integer"), (float, "number"), (object, "string"))
        if isinstance(value, types)
    )


def _param(document: Document, path: KeyPath, param: dict[str, Any]) -> Iterator[Finding]:
    default = param["default"]
    kind = param.get("type", kind_of(default))
    if kind not in KINDS:
        return
    if default is not None and not _fits(default, kind):
        yield document.finding((*path, "default"), f"'default' must be {KINDS[kind]}, not {show(default)}", "param")
    choices = param.get("enum")
    if isinstance(choices, list):
        for number, choice in enumerate(choices):
            if not _fits(choice, kind):
                message = f"'enum' must hold {KINDS[kind]} as the default does, not {show(choice)}"
                yield document.finding((*path, "enum", number), message, "param")
        if not any(choice == default and type(choice) is type(default) for choice in choices):
            yield document.finding((*path, "default"), f"'default' {show(default)} is not one of the enum", "param")
    yield from _bounds(document, path, param, kind)


def _bounds(document: Document, path: KeyPath, param: dict[str, Any], kind: str) -> Iterator[Finding]:
    bounds = {name: param[name] for name in ("minimum", "maximum") if _fits(param.get(name), "number")}
    if bounds and kind not in NUMBERS:
        for name in bounds:
            yield document.finding((*path, name), f"'{name}' is for numbers, and this is {KINDS[kind]}", "param")
        return
    default = param["default"]
    least, most = bounds.get("minimum"), bounds.get("maximum")
    if least is not None and most is not None and least > most:
        yield document.finding((*path, "maximum"), f"'maximum' {most} is less than 'minimum' {least}", "param")
    elif _fits(default, "number") and (
        (least is not None and default < least) or (most is not None and default > most)
    ):
        yield document.finding((*path, "default"), f"'default' {default} is not between the bounds", "param")


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    wanted: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    return isinstance(value, wanted[kind])
