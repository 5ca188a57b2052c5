"""Turn files of dag-factory into jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobyard_cli.check.parts import mapping
from jobyard_cli.importing.dag_factory.account import Fate, Outcome
from jobyard_cli.importing.dag_factory.dags import FactoryJob, convert, unique_names
from jobyard_cli.importing.dag_factory.pods import Known
from jobyard_cli.importing.dag_factory.reading import Keyed, Path_, defaults_beside, read_factory_file
from jobyard_cli.importing.dag_factory.text import job_text
from jobyard_cli.importing.model import NewFile
from jobyard_cli.team.repo import TeamRepo

_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
DEFAULT = "default"
"""The key of what all DAGs of a file have."""


@dataclass(frozen=True)
class FactoryImport:
    """The result of an import: jobs, the files to write, and what became of what is in no DAG."""

    jobs: Sequence[FactoryJob]
    files: Sequence[NewFile]
    others: Sequence[Outcome]

    def count(self, fate: Fate) -> int:
        """Return how many keys have that fate."""
        all_of_them = [*self.others, *(outcome for job in self.jobs for outcome in job.account.outcomes)]
        return sum(outcome.fate is fate for outcome in all_of_them)


def known_of(team: TeamRepo | None) -> Known:
    """Return what the repository has that a DAG may name; nothing without a repository."""
    if team is None:
        return Known()
    catalogue = mapping(mapping(team.catalogue.data).get("nodeGroups"))
    groups = {name: mapping(catalogue.get(name)) for name in team.allowed_node_groups}
    pools = frozenset(mapping(mapping(team.team_values.data).get("pools")))
    return Known(groups, frozenset(team.service_accounts), pools)


def import_dag_factory(files: Sequence[str], team: TeamRepo | None) -> FactoryImport:
    """Return every DAG of the files as a job. `team` is the repository that the jobs are for, if there is one.

    Raises:
        UnreadableSourceError: a file is missing, a folder, too large, or no text.
        InvalidFactoryFileError: one is not YAML, or not a mapping.
    """
    found: list[tuple[str, str, Keyed]] = []
    others: list[Outcome] = []
    for file in files:
        source = read_factory_file(file)
        beside = defaults_beside(file)
        others += _notes(source, beside)
        found += [(file, dag, keyed) for dag, keyed in _dags(source, beside)]
    names = unique_names([dag for _, dag, _ in found], "task")
    prefix = f"{team.team}." if team else ""
    dag_ids = {dag: prefix + name for dag, name in names.items()}
    known = known_of(team)
    jobs = [convert(dag, names[dag], source, known, dag_ids) for _, dag, source in found]
    written = [
        NewFile(f"dags/{job.name}/job.yaml", job_text(job, file).encode())
        for job, (file, _, _) in zip(jobs, found, strict=True)
    ]
    return FactoryImport(jobs, written, others)


def _variables(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Yield the place of each text that has a variable, and its name."""
    if isinstance(value, str):
        for match in _VARIABLE.finditer(value):
            yield path, match[1]
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _variables(part, (*path, str(key)))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _variables(part, (*path, number))


def _dags(source: Keyed, beside: Keyed | None) -> Iterator[tuple[str, Keyed]]:
    """Yield each DAG with what it has of the defaults of its file, and of those beside it."""
    default = source.part(DEFAULT)
    if beside is not None:
        default = default.over(beside)
    for name, data in source.data.items():
        if name != DEFAULT and isinstance(data, Mapping):
            yield str(name), source.part(name).over(default)


def _notes(source: Keyed, beside: Keyed | None) -> Iterator[Outcome]:
    """What is in no DAG: defaults that every DAG has, keys that are not DAGs, and the file beside."""
    for name, data in source.data.items():
        file, line = source.place((name,))
        if name == DEFAULT:
            yield Outcome(file, line, name, Fate.imported, "in each DAG of the file")
        elif not isinstance(data, Mapping):
            yield Outcome(file, line, str(name), Fate.left_out, "it is not a DAG")
    for path, variable in _variables(source.data):
        file, line = source.place(path)
        words = f"dag-factory puts in the value that ${variable} has where Airflow runs; write it, if it has one"
        yield Outcome(file, line, ".".join(map(str, path)), Fate.todo, words)
    if beside is not None:
        yield Outcome(beside.file, 1, "", Fate.imported, "in each DAG of the files beside it")
