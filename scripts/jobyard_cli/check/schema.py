"""Validate a document against a JSON Schema, with messages that name the rule and the value.

The rule comes from the schema: beside a `pattern` it has the keyword `x-rule`, a phrase that completes "must be …".
Validators ignore keywords that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.check.findings import Finding, did_you_mean
from jobyard_cli.check.parts import last_name
from jobyard_cli.check.rules import Rule
from jobyard_cli.parsing.documents import Document, KeyPath

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

KINDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
RULES: Mapping[str, Rule] = {
    "const": "const",
    "enum": "enum",
    "exclusiveMaximum": "range",
    "exclusiveMinimum": "range",
    "maximum": "range",
    "maxItems": "too-long",
    "maxLength": "too-long",
    "maxProperties": "too-long",
    "minimum": "range",
    "minItems": "empty",
    "minLength": "empty",
    "minProperties": "empty",
    "type": "type",
    "uniqueItems": "unique",
}
"""The rule that a keyword of JSON Schema stands for; `pattern` for others."""


@cache
def validator(schema: Path) -> Draft202012Validator:
    """Return the validator of a schema file; it is built once per process."""
    return compiled(json.loads(schema.read_text()))


def compiled(content: Mapping[str, Any]) -> Draft202012Validator:
    """Return the validator of a schema, which may have `definitions`, as Helm's older draft, in place of `$defs`."""
    from jsonschema import Draft202012Validator

    definitions = content.get("$defs") or content.get("definitions", {})
    return Draft202012Validator(_inlined({**content, "definitions": {}}, definitions))


def check_values(document: Document, schema: Path, name: str) -> Iterator[Finding]:
    """Yield a finding for each violation of a chart's schema in a file that sets only one of the chart's values."""
    yield from part_findings(document, (), document.data, _value_validator(schema, name))


def check_some_values(document: Document, values: Mapping[str, Any], schema: Path) -> Iterator[Finding]:
    """Yield a finding for each violation of a chart's schema in values that come from a document.

    They need not be all of the chart's. Like Helm, this takes null for a value that is not set.
    """
    content = {**json.loads(schema.read_text()), "required": []}
    stated = {name: value for name, value in values.items() if value is not None}
    if not _is_valid(_quick(content), stated):
        yield from part_findings(document, (), stated, compiled(content))


@cache
def _value_validator(schema: Path, name: str) -> Draft202012Validator:
    content = json.loads(schema.read_text())
    return compiled({**content, "properties": {name: content["properties"][name]}, "required": [name]})


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the schema with each reference replaced by its definition: resolving takes a third of a validation."""
    if isinstance(part, list):
        return [_inlined(entry, definitions) for entry in part]
    if not isinstance(part, dict):
        return part
    inlined = {name: _inlined(value, definitions) for name, value in part.items() if name not in ("$ref", "$defs")}
    pattern = inlined.get("pattern")
    if isinstance(pattern, str) and pattern.endswith("$"):
        # In Python `$` matches before a final newline too, in JSON Schema only at the end.
        inlined["pattern"] = pattern.removesuffix("$") + r"\Z"
    if "$ref" in part:
        definition = definitions[part["$ref"].rpartition("/")[2]]
        return {**_inlined(definition, definitions), **inlined}
    return inlined


def check_schema(document: Document, schema: Path) -> Iterator[Finding]:
    """Yield a finding for each part of the document that violates the schema."""
    if not is_valid(schema, document.data):
        yield from part_findings(document, (), document.data, validator(schema))


def is_valid(schema: Path, data: Any) -> bool:
    """Return whether the data is valid.

    Nearly every job is, and the library in Rust finds out in microseconds. The one in Python, which explains
    violations, decides where the data holds values that the other does not take.
    """
    return _is_valid(_quick_validator(schema), data)


def _is_valid(quick: Any, data: Any) -> bool:
    try:
        return bool(quick.is_valid(data))
    except ValueError:
        return False


@cache
def _quick_validator(schema: Path) -> Any:
    return _quick(json.loads(schema.read_text()))


def _quick(content: dict[str, Any]) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(content)


def part_findings(document: Document, path: KeyPath, part: Any, schema: Draft202012Validator) -> Iterator[Finding]:
    """Yield a finding for each violation of a schema in the part of the document at a path."""
    for error in schema.iter_errors(part):
        yield from _findings(document, path, error)


def _findings(document: Document, parent: KeyPath, error: Any) -> Iterator[Finding]:
    # `error` is a ValidationError, whose attributes are annotated as possibly unset; a raised error has them all.
    path: KeyPath = (*parent, *error.absolute_path)
    match error.validator:
        case "additionalProperties" if isinstance(error.validator_value, bool):
            yield from _unknown_keys(document, path, error)
        case "required":
            message = f"{_label(path)} is missing the required key '{_missing_key(error)}'"
            yield document.finding(path, message, "required", at_key=bool(path))
        case _ if "propertyNames" in error.absolute_schema_path:
            message = _message(document, path, f"a key of {_label(path)}", error)
            yield document.finding((*path, str(error.instance)), message, "name", at_key=True)
        case _:
            yield document.finding(path, _message(document, path, _label(path), error), _rule(error))


def _missing_key(error: Any) -> str:
    """Return the key that is missing: jsonschema reports each by itself, in a message that starts with it."""
    for name in error.validator_value:
        if name not in error.instance and error.message.startswith(repr(name)):
            return str(name)
    raise AssertionError(error.message)


def _rule(error: Any) -> Rule:
    if error.validator == "maxProperties" and error.validator_value == 1:
        return "one-of"
    return RULES.get(error.validator, "pattern")


def _unknown_keys(document: Document, path: KeyPath, error: Any) -> Iterator[Finding]:
    known = list(error.schema.get("properties", {})) if isinstance(error.schema, Mapping) else []
    for name in error.instance:
        if name not in known:
            hint = did_you_mean(name, known) or f"allowed: {', '.join(known)}"
            yield document.finding((*path, name), f"unknown key '{name}' ({hint})", "unknown-key", at_key=True)


def _message(document: Document, path: KeyPath, label: str, error: Any) -> str:
    value = error.instance
    bound = error.validator_value
    match error.validator:
        case "type":
            return _type_message(document, path, label, error)
        case "enum":
            return _enum_message(label, value, bound)
        case "const":
            return f"{label} must be {show(bound)}; got {show(value)}"
        case "pattern":
            return f"{label} must {_format(error)}; got {show(value)}"
        case "minProperties" | "minLength" | "minItems" if bound == 1:
            return f"{label} must not be empty"
        case "maxProperties" if bound == 1:
            return f"{label} must have exactly one of {', '.join(error.schema['properties'])}; got {', '.join(value)}"
        case "minimum":
            return f"{label} must be at least {bound}; got {value}"
        case "exclusiveMinimum":
            return f"{label} must be greater than {bound}; got {value}"
        case "maximum":
            return f"{label} must be at most {bound}; got {value}"
        case "maxLength":
            return f"{label} must have at most {bound} characters; got {len(value)}"
        case "maxItems" | "maxProperties":
            return f"{label} must have at most {bound} entries; got {len(value)}"
        case "uniqueItems":
            return f"{label} must not have duplicates; got {_duplicate(value)} more than once"
        case _:
            return f"{label} is invalid: {error.message}"


def _enum_message(label: str, value: Any, allowed: list[Any]) -> str:
    choices = [str(choice) for choice in allowed]
    message = f"{label} must be one of {', '.join(choices)}; got {show(value)}"
    if hint := did_you_mean(str(value), choices):
        message += f" ({hint})"
    return message


def _duplicate(entries: list[Any]) -> str:
    """Return the first entry that occurs again; entries may be mappings, which a set cannot hold."""
    for index, entry in enumerate(entries):
        if entry in entries[:index]:
            return show(entry)
    return "an entry"


def _type_message(document: Document, path: KeyPath, label: str, error: Any) -> str:
    if isinstance(error.schema, Mapping) and "x-rule" in error.schema:
        return f"{label} must be {error.schema['x-rule']}; got {show(error.instance)}"
    allowed = error.validator_value
    if not isinstance(allowed, list):
        allowed = [allowed]
    expected = _kinds(allowed)
    text = document.plain.get(path)
    if "string" in allowed and text:
        return f'{label} must be {expected}; YAML reads {text} as {_kind(error.instance)}: write "{text}"'
    return f"{label} must be {expected}, not {_kind(error.instance)}"


def _kinds(names: list[str]) -> str:
    """Return types in words: `a string, a number or null`."""
    words = [KINDS[name] for name in names if name != "integer" or "number" not in names]
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return KINDS[names.get(type(value), "null")]


def _format(error: Any) -> str:
    """Return "be …" with the schema's rule in words; without one, "match …" with the pattern."""
    if isinstance(error.schema, Mapping) and "x-rule" in error.schema:
        return f"be {error.schema['x-rule']}"
    pattern = str(error.validator_value).replace(r"\Z", "$")
    return f"match {pattern}"


def _label(path: KeyPath) -> str:
    """Return the last name of a path in quotes; an entry of a list is called by the list's name."""
    name = last_name(path)
    return "the file" if name is None else f"'{name}'"


def show(value: Any) -> str:
    """Return a value as messages quote it."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)
