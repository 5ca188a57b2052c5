"""Pure functions: from the notebook's `parameters` cell and the job's texts to the values that the notebook gets.

papermill takes the tag's name, `parameters`, but only warns of a name that the cell does not assign, and guesses a type
from the text: `007` becomes 7. Here a value gets the type of the default that it replaces.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jobyard_notebook.errors import ParameterError

TAG = "parameters"
BOOLEANS = {"true": True, "false": False}
Kinds = Mapping[str, type]
"""The declared parameters, each with the type of its values."""


def declared(source: str) -> Kinds:
    """Return the parameters that a cell assigns; `str` stands for a default whose type is not in the cell.

    Raises:
        ParameterError: the cell is not plain Python.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ParameterError(
            f"the cell tagged '{TAG}' must have assignments alone, such as days = 7; line {error.lineno}: {error.msg}"
        ) from error
    return dict(_assigned(statements))


def _assigned(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, type]]:
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _kind(value, None)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                yield name, _kind(value, annotation)


def _kind(value: ast.expr, annotation: ast.expr | None) -> type:
    """Return the type that the annotation names, or else that of the default."""
    if isinstance(annotation, ast.Name) and annotation.id in _NAMED:
        return _NAMED[annotation.id]
    try:
        kind = type(ast.literal_eval(value))
    except (ValueError, TypeError, SyntaxError):
        return str
    return kind if kind in _CONVERTERS else str


def values(kinds: Kinds, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the notebook's values of texts by the parameters' names.

    Raises:
        ParameterError: with every name that is not declared or given twice, and every text that is not of its type.
    """
    problems: list[str] = []
    found: dict[str, Any] = {}
    for name, text in given:
        try:
            if name in found:
                raise ParameterError(f"parameter '{name}' must be given once")
            found[name] = _value(kinds, name, text)
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError("; ".join(problems))
    return found


def _value(kinds: Kinds, name: str, text: str) -> Any:
    if name not in kinds:
        raise ParameterError(_unknown(name, kinds))
    convert, wanted = _CONVERTERS[kinds[name]]
    try:
        return convert(text)
    except (ValueError, KeyError) as error:
        raise ParameterError(f"parameter '{name}' must be {wanted}, as its default is; got '{text}'") from error


def _unknown(name: str, kinds: Kinds) -> str:
    if not kinds:
        return f"unknown parameter '{name}': the notebook has no cell tagged '{TAG}' that assigns one"
    near = difflib.get_close_matches(name, kinds, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown parameter '{name}' ({hint}its cell tagged '{TAG}' has: {', '.join(kinds)})"


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _json(kind: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, kind):
            raise ValueError(text)
        return value

    return convert


_CONVERTERS: Mapping[type, tuple[Callable[[str], Any], str]] = {
    str: (str, "a text"),
    bool: (lambda text: BOOLEANS[text.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (_number, "a number"),
    list: (_json(list), "a list, written as JSON"),
    dict: (_json(dict), "an object, written as JSON"),
}
_NAMED = {kind.__name__: kind for kind in _CONVERTERS}
