"""What the JSON Schema says of a document, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.check.findings import Finding, did_you_mean
from jobyard_cli.parsing.documents import Document, KeyPath

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of names to values",
    "null": "null",
}


@cache
def validator(schema: Path) -> Draft202012Validator:
    """The validator of a schema file, made once a process."""
    return compiled(json.loads(schema.read_text()))


def compiled(content: Mapping[str, Any]) -> Draft202012Validator:
    """The validator of a schema. Helm's own are of an older draft, in which `$defs` is `definitions`."""
    from jsonschema import Draft202012Validator

    definitions = content.get("$defs") or content.get("definitions", {})
    return Draft202012Validator(_inlined({**content, "definitions": {}}, definitions))


def check_values(document: Document, schema: Path, name: str) -> Iterator[Finding]:
    """A finding for each thing that a chart's schema does not allow in a file that has one of its values alone."""
    yield from part_findings(document, (), document.data, _value_validator(schema, name))


@cache
def _value_validator(schema: Path, name: str) -> Draft202012Validator:
    content = json.loads(schema.read_text())
    return compiled({**content, "properties": {name: content["properties"][name]}, "required": [name]})


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with each `#/$defs/…` put in its place: looking references up takes a third of the validation."""
    if isinstance(part, list):
        return [_inlined(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    rest = {name: _inlined(value, definitions) for name, value in part.items() if name not in ("$ref", "$defs")}
    pattern = rest.get("pattern")
    if isinstance(pattern, str) and pattern.endswith("$"):
        # In Python `$` lets a line end follow, in JSON Schema nothing.
        rest["pattern"] = pattern.removesuffix("$") + r"\Z"
    if "$ref" not in part:
        return rest
    # The definition's description says the rule; one beside the reference says what this use is for.
    return {**rest, **_inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)}


def check_schema(document: Document, schema: Path) -> Iterator[Finding]:
    """A finding for each thing in the document that the schema does not allow."""
    if not is_valid(schema, document.data):
        yield from part_findings(document, (), document.data, validator(schema))


def is_valid(schema: Path, data: Any) -> bool:
    """Whether nothing is wrong: nearly every job is right, and the library in Rust says so in microseconds.

    Where something is wrong, or the data holds what it does not take, the one in Python says what.
    """
    try:
        return bool(_quick_validator(schema).is_valid(data))
    except ValueError:
        return False


@cache
def _quick_validator(schema: Path) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(json.loads(schema.read_text()))


def part_findings(document: Document, path: KeyPath, part: Any, schema: Draft202012Validator) -> Iterator[Finding]:
    """A finding for each thing that a schema does not allow in the part of the document at a path."""
    for error in schema.iter_errors(part):
        yield from _findings(document, path, error)


def _findings(document: Document, above: KeyPath, error: Any) -> Iterator[Finding]:
    # `error` is a ValidationError; its parts are annotated as possibly unset, which they are not once it was raised.
    path: KeyPath = (*above, *error.absolute_path)
    match error.validator:
        case "additionalProperties" if isinstance(error.validator_value, bool):
            yield from _unknown_keys(document, path, error)
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            # jsonschema reports each missing key by itself; its message starts with that key.
            name = next(name for name in missing if error.message.startswith(repr(name)))
            yield document.finding(path, f"{_here(path)} lacks '{name}'", "required", at_key=bool(path))
        case _ if "propertyNames" in error.absolute_schema_path:
            name = str(error.instance)
            message = f"'{name}' can't be a name: {_pattern_rule(error)}"
            yield document.finding((*path, name), message, "name", at_key=True)
        case _:
            yield document.finding(path, _message(document, path, error), str(error.validator))


def _unknown_keys(document: Document, path: KeyPath, error: Any) -> Iterator[Finding]:
    known = list(error.schema.get("properties", {})) if isinstance(error.schema, Mapping) else []
    for name in error.instance:
        if name not in known:
            hint = did_you_mean(name, known) or f"known here: {', '.join(known)}"
            yield document.finding((*path, name), f"unknown key '{name}' ({hint})", "unknown-key", at_key=True)


def _message(document: Document, path: KeyPath, error: Any) -> str:
    what, value = _here(path), error.instance
    match error.validator:
        case "type":
            return _type_message(document, path, error)
        case "enum":
            choices = [str(choice) for choice in error.validator_value]
            hint = did_you_mean(str(value), choices)
            return f"{what} can't be {show(value)} ({' '.join(filter(None, [hint, 'one of: ' + ', '.join(choices)]))})"
        case "const":
            return f"{what} must be {show(error.validator_value)}, not {show(value)}"
        case "pattern":
            return f"{what} can't be {show(value)}: {_pattern_rule(error)}"
        case "minProperties" | "minLength" | "minItems" if error.validator_value == 1:
            return f"{what} is empty"
        case "maxProperties" if error.validator_value == 1:
            return f"{what} must have one of {', '.join(error.schema['properties'])}, not several"
        case "minimum" | "exclusiveMinimum":
            least = "at least" if error.validator == "minimum" else "more than"
            return f"{what} must be {least} {error.validator_value}, not {value}"
        case "maximum":
            return f"{what} can be at most {error.validator_value}"
        case "maxLength" | "maxItems" | "maxProperties":
            unit = "characters" if error.validator == "maxLength" else "entries"
            return f"{what} can have at most {error.validator_value} {unit}, not {len(value)}"
        case "uniqueItems":
            return f"{what} names something twice"
        case _:
            return f"{what}: {error.message}"


def _type_message(document: Document, path: KeyPath, error: Any) -> str:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    words = " or ".join(KINDS[name] for name in wanted if name != "integer" or "number" not in wanted)
    if "string" in wanted and isinstance(error.schema, Mapping) and "pattern" in error.schema:
        return f"{_here(path)} can't be {show(error.instance)}: {_pattern_rule(error)}"
    plain = document.plain.get(path)
    if "string" in wanted and plain:
        return f'{_here(path)} must be {words}; YAML reads {plain} as {_kind(error.instance)}: write "{plain}"'
    return f"{_here(path)} must be {words}, not {_kind(error.instance)}"


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    if isinstance(value, bool):
        return str(value).lower()
    return KINDS[names.get(type(value), "null")]


def _pattern_rule(error: Any) -> str:
    """The rule in words is the schema's own description of the thing, and its example."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    rule = str(schema.get("description", f"it must match {error.validator_value}")).rstrip(".")
    if not rule[1:2].isupper():
        rule = rule[:1].lower() + rule[1:]
    example = next(iter(schema.get("examples", [])), None)
    return rule if example is None else f"{rule}; for example {show(example)}"


def _here(path: KeyPath) -> str:
    """What a path is called: its last name, and for something in a list the list's name."""
    names = [str(part) for part in path if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "the file"


def show(value: Any) -> str:
    """A value as a message has it."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)
