"""Values without quotes that YAML reads as something else than they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.parsing.documents import Document, KeyPath

# YAML 1.1, which PyYAML reads, wants a point in a number with an exponent, and a sign before the exponent.
_EXPONENT = re.compile(r"([-+]?[0-9]+)(\.[0-9]*)?[eE]([-+]?)([0-9]+)")
# https://yaml.org/type/int.html: base 8 with a leading 0, base 60 with colons, underscores anywhere.
_ODD_NUMBER = re.compile(r"[-+]?0[0-9]+|.*[:_xb].*")


def check_surprises(document: Document) -> Iterator[Finding]:
    """A finding for each such value, wherever it is in the document."""
    for path, text in document.plain.items():
        if problem := _problem(text, _at(document.data, path)):
            yield document.finding(path, problem, "yaml-surprise")


def _at(data: Any, path: KeyPath) -> Any:
    """The value at a path; None where a later value of the same key took its place."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        else:
            data = data[step] if isinstance(data, list) and isinstance(step, int) and step < len(data) else None
    return data


def _problem(text: str, value: Any) -> str | None:
    if isinstance(value, bool):
        read = str(value).lower()
        return None if text.lower() == read else f'YAML reads {text} as {read}: write {read}, or "{text}" for the text'
    if isinstance(value, float) and not isfinite(value):
        return f'YAML reads {text} as a number that JSON does not have: write "{text}" for the text'
    if isinstance(value, int | float) and _ODD_NUMBER.fullmatch(text):
        return f'YAML reads {text} as the number {value}: write {value}, or "{text}" for the text'
    if isinstance(value, str) and (found := _EXPONENT.fullmatch(text)):
        whole, fraction, sign, exponent = found.groups()
        number = f"{whole}{fraction if fraction and fraction != '.' else '.0'}e{sign or '+'}{exponent}"
        return f'YAML reads {text} as text: write {number} for the number, or "{text}" for the text'
    return None
