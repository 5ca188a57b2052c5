"""What a run needs besides the job: parameters, Airflow Variables, secrets and outputs that a person gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard.entries import Job, Task
from jobyard.errors import PlainDataError
from jobyard.plain import plain

from jobyard_cli.check.findings import unknown
from jobyard_cli.running.errors import InvalidOptionError

AIRFLOWS_PREFIX = "AIRFLOW_VAR_"
"""What Airflow itself calls the environment variable of a Variable."""


@dataclass(frozen=True)
class Given:
    """What a person gives a run, by name."""

    params: Mapping[str, Any]
    variables: Mapping[str, str]
    outputs: Mapping[str, Any]
    """Outputs of tasks that are not run, by task."""


def pairs(option: str, texts: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Values of a repeated option NAME=VALUE by name, and what is wrong with the others."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            problems.append(f"{option} must be NAME=VALUE; got '{text}'")
        else:
            found[name] = value
    return found, problems


def params_of(job: Job, texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Values that `--param` gives, each of its parameter's type, and what is wrong with the others."""
    import jsonschema

    stated, problems = pairs("--param", texts)
    found: dict[str, Any] = {}
    for name, text in stated.items():
        if name not in job["params"]:
            problems.append(unknown("parameter", name, job["params"], "the job has"))
            continue
        rule = {key: value for key, value in _schema(job["params"][name]).items() if key not in ("default", "title")}
        found[name] = _typed(text, rule)
        try:
            jsonschema.validate(found[name], rule)
        except jsonschema.ValidationError as error:
            problems.append(f"--param {name}: {error.message}")
    return found, problems


def all_params(job: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """The run's parameters: those given, else their defaults."""
    defaults = {name: _schema(entry)["default"] for name, entry in job["params"].items()}
    return {**defaults, **given}


def _schema(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else {"default": entry}


def _typed(text: str, rule: Mapping[str, Any]) -> Any:
    """The value as the form of Airflow has it: JSON, unless the parameter is a text."""
    kinds = rule.get("type", [])
    if "string" in ([kinds] if isinstance(kinds, str) else kinds):
        return text
    return _json_or_text(text)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def outputs_of(job: Job, texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Outputs that `--output` gives: of a task as a whole (TASK=JSON), or by value (TASK.NAME=JSON)."""
    stated, problems = pairs("--output", texts)
    found: dict[str, Any] = {}
    for path, text in stated.items():
        task, *steps = path.split(".")
        if task not in job["tasks"]:
            problems.append(unknown("task", task, job["tasks"], "the job has"))
            continue
        if not steps:
            found[task] = _json_or_text(text)
        elif not _put(found.setdefault(task, {}), steps, _json_or_text(text)):
            problems.append(f"--output {path}: {task} is given as a whole too, and is not a mapping")
    for task, value in found.items():
        try:
            plain(value)
        except PlainDataError as error:
            problems.append(f"--output {task}: the value {error}")
    return found, problems


def _put(target: Any, steps: Sequence[str], value: Any) -> bool:
    for step in steps[:-1]:
        if not isinstance(target, dict):
            return False
        target = target.setdefault(step, {})
    if not isinstance(target, dict):
        return False
    target[steps[-1]] = value
    return True


def variables_of(texts: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Airflow Variables: those of `--variable`, and Airflow's own variables of the environment for them."""
    stated, problems = pairs("--variable", texts)
    found: dict[str, str] = {}
    for name, value in environment.items():
        if name.startswith(AIRFLOWS_PREFIX):
            found[name.removeprefix(AIRFLOWS_PREFIX).lower()] = value
    return {**found, **stated}, problems


class SecretsFile:
    """Values for a job's secrets, by environment variable or by `<secret>/<key>`, from a file that is never shown."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def read(cls, file: Path | None) -> SecretsFile:
        """Read NAME=VALUE lines; lines that are empty or begin with # are nothing.

        Raises:
            InvalidOptionError: the file can't be read, or lines of it have another form; the message quotes none.
        """
        if file is None:
            return cls({})
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidOptionError([f"--secrets {file}: {error}"]) from None
        values: dict[str, str] = {}
        problems: list[str] = []
        for number, line in enumerate(lines, start=1):
            text = line.strip().removeprefix("export ")
            if not text or text.startswith("#"):
                continue
            name, sign, value = text.partition("=")
            if sign:
                values[name.strip()] = _unquoted(value.strip())
            else:
                problems.append(
                    f"{file}:{number}:1: a line must be NAME=VALUE, with the name of a variable or of <secret>/<key>"
                )
        if problems:
            raise InvalidOptionError(problems)
        return cls(values)

    def find(self, variable: str, secret: str, environment: Mapping[str, str]) -> str | None:
        """The value of a task's variable: the file's, else that of this command's own environment."""
        for name in (variable, secret):
            if name in self._values:
                return self._values[name]
        return environment.get(variable)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def missing_secrets(
    tasks: Mapping[str, Task], chosen: Iterable[str], file: SecretsFile, environment: Mapping[str, str]
) -> list[str]:
    """A line for each secret of the tasks that has no value here."""
    missing: list[str] = []
    for name in chosen:
        for variable, key in tasks[name].get("secrets", {}).items():
            secret = f"{key['secret']}/{key['key']}"
            if file.find(variable, secret, environment) is None:
                missing.append(
                    f"{name}: no value for the secret {secret}: set {variable} in the environment, or write "
                    f"{variable}=… into a file and give it with --secrets"
                )
    return missing
