"""Lines of a job.yaml as a person would write them: comments, and fields each on a line of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

SCHEMA_LINE = "# yaml-language-server: $schema=../../schemas/job.schema.json"
_SPECIAL = re.compile(r"[*&!%@`'{}\[\]#|>\"\\,]|: |^[-?:\s]|\s$")
_ESCAPED = re.compile(r"[\"\\]")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def comment(text: str, indent: str = "") -> Iterable[str]:
    """Yield a comment of YAML on one line, which nothing in the text can end."""
    shown = _UNPRINTABLE.sub(" ", text.replace("\n", " ").replace("\t", " "))
    return [f"{indent}# {shown}".rstrip()]


def fields_of(part: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield each field on a line, what is in it on the same one."""
    for name, value in part.items():
        if isinstance(value, dict | list):
            yield f"{indent}{name}: {_dumped(value, flow=True)}"
        else:
            yield indent + _dumped({name: value}, flow=False)


def _dumped(value: Any, *, flow: bool) -> str:
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20, default_flow_style=flow)
    return text.rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Quotes as people do it: single where the text has double ones."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None
    if _SPECIAL.search(text):
        style = "'" if _ESCAPED.search(text) and text.isprintable() else '"'
    # Without a style, PyYAML quotes what would not be a string, such as 8080 and yes.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)
