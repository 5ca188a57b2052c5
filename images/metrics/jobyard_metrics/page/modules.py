"""Joins the page's modules into one classic script: browsers load no module from a folder (`file://`)."""

from __future__ import annotations

import re
from importlib.resources.abc import Traversable

_IMPORT = re.compile(r'^import (?P<names>\{[^}]*\}) from "\./(?P<module>[a-z-]+)\.js";$', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (?P<name>\w+))", re.M)


def bundle(folder: Traversable) -> bytes:
    """Return `main.js` of a folder with all that it imports, each module after those that it needs.

    A module becomes a function that returns what it exports, so its other names stay its own.
    """
    order: dict[str, str] = {}
    _collect(folder, "main", order)
    body = "\n".join(order.values())
    return f'"use strict";\n(() => {{\nconst modules = {{}};\n{body}}})();\n'.encode()


def _collect(folder: Traversable, module: str, order: dict[str, str]) -> None:
    if module in order:
        return
    text = (folder / f"{module}.js").read_text(encoding="utf-8")
    for match in _IMPORT.finditer(text):
        _collect(folder, match["module"], order)
    order[module] = _function(module, text)


def _function(module: str, text: str) -> str:
    exported = ", ".join(match["name"] for match in _EXPORT.finditer(text))
    body = _EXPORT.sub("", _IMPORT.sub(r'const \g<names> = modules["\g<module>"];', text))
    return f'modules["{module}"] = (() => {{\n{body}return {{ {exported} }};\n}})();\n'
