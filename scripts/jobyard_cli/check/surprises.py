"""Find values without quotes that YAML reads differently than they look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.parsing.documents import Document, KeyPath

# PyYAML reads YAML 1.1, where a number with an exponent needs a decimal point, and the exponent a sign.
_EXPONENT = re.compile(r"([-+]?[0-9]+)(\.[0-9]*)?[eE]([-+]?)([0-9]+)")
# https://yaml.org/type/int.html: base 8 with a leading 0, base 60 with colons, underscores anywhere.
_ODD_NUMBER = re.compile(r"[-+]?0[0-9]+|.*[:_xb].*")

# Beginnings of numbers, and all that YAML 1.1 reads as true or false: no other text without quotes surprises.
_SUSPECT = re.compile(r"[-+.0-9]|(y|n|yes|no|on|off|true|false)\Z", re.IGNORECASE)


def check_surprises(document: Document) -> Iterator[Finding]:
    """Yield a finding for each such value, wherever it is in the document."""
    for path, text in document.plain.items():
        if _SUSPECT.match(text) and (problem := _problem(text, _at(document.data, path))):
            yield document.finding(path, problem, "yaml-surprise")


def _at(data: Any, path: KeyPath) -> Any:
    """Return the value at a path; None if a later value of the same key replaced it."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _problem(text: str, value: Any) -> str | None:
    if isinstance(value, bool):
        literal = str(value).lower()
        if text.lower() == literal:
            return None
        return f'YAML reads {text} as {literal}: write {literal}, or "{text}" for the string'
    if isinstance(value, float) and not isfinite(value):
        return f'YAML reads {text} as a number that JSON does not have: write "{text}" for the string'
    if isinstance(value, int | float) and _ODD_NUMBER.fullmatch(text):
        return f'YAML reads {text} as the number {value}: write {value}, or "{text}" for the string'
    if isinstance(value, str) and (number := _exponent(text)):
        return f'YAML reads {text} as a string: write {number} for the number, or "{text}" for the string'
    return None


def _exponent(text: str) -> str:
    """Return a number with an exponent as YAML 1.1 writes it; "" if the text is not such a number."""
    match = _EXPONENT.fullmatch(text)
    if match is None:
        return ""
    integer, fraction, sign, exponent = match.groups()
    decimals = fraction if fraction and fraction != "." else ".0"
    return f"{integer}{decimals}e{sign or '+'}{exponent}"
