"""Values that an environment's file has to have for one purpose, and the message where it lacks some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment


class IncompleteEnvironmentError(JobyardError):
    """The environment's file lacks something; the message has every value, with an example of each."""

    def __init__(self, environment: str, purpose: str, examples: Mapping[str, str], missing: list[str]) -> None:
        lines = [f"{ENVIRONMENTS}/{environment}.yaml lacks what {purpose} made from; write under `environment`:"]
        lines += _nested(missing, examples)
        if any(name.startswith("cluster.") for name in missing):
            lines.append("`aws eks describe-cluster --name <cluster>` shows what the cluster's are")
        super().__init__("\n".join(lines))
        self.missing = missing


def require(environment: Environment, purpose: str, examples: Mapping[str, str]) -> None:
    """Refuse an environment whose file lacks one of the examples' values; dots in names separate levels.

    Raises:
        IncompleteEnvironmentError: it lacks some.
    """
    if missing := [name for name in examples if _value(environment.values, name) is None]:
        raise IncompleteEnvironmentError(environment.name, purpose, examples, missing)


def _value(values: Mapping[str, Any], name: str) -> Any:
    value: Any = values
    for key in name.split("."):
        value = value.get(key, {})
    return value or None


def _nested(names: list[str], examples: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of YAML, below a key, that give each name its example."""
    above = ""
    for name in names:
        parent, _, key = name.rpartition(".")
        if parent and parent != above:
            yield f"  {parent}:"
        above = parent
        indent = "  " * len(name.split("."))
        yield f"{indent}{key}: {examples[name]}"
