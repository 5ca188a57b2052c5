"""job.yaml of what was imported from dag-factory, with comments that say where it comes from and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.importing.dag_factory.dags import FactoryJob
from jobyard_cli.importing.yaml_lines import SCHEMA_LINE, comment, fields_of


def job_text(job: FactoryJob, file: str) -> str:
    """Return the text of a job.yaml; `file` is the name of the file that its DAG is in."""
    return "\n".join(_lines(job, file)) + "\n"


def _lines(job: FactoryJob, file: str) -> Iterator[str]:
    yield SCHEMA_LINE
    where = file.rpartition("/")[2] if file != "-" else "standard input"
    yield from comment(f"Imported by `jobyard import dag-factory` from {where}, DAG {job.dag}.")
    yield "apiVersion: jobyard/v1"
    for todo in job.todos[""]:
        yield from comment(f"TODO: {todo}.")
    yield from fields_of(dict(job.fields))
    yield "tasks:"
    for name, fields in job.tasks.items():
        yield f"  {name}:"
        for todo in job.todos.get(name, []):
            yield from comment(f"TODO: {todo}.", "    ")
        yield from fields_of(dict(fields), "    ")
