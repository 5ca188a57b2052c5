"""What a team's loader calls.

The loader is `dags/<team>.py`, the platform's, in the bucket beside the folder of the same name; a large team has more
of them, `dags/<team>_2.py` and so on, each for a part of the jobs (`parts`). All have the same text:

    import airflow.providers.cncf.kubernetes.operators.pod  # which the DAG processor then imports once
    import jobyard  # Airflow reads a file for DAGs only if it names both
    globals().update(jobyard.load(__file__))
"""

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from jobyard import VERSION
from jobyard.builder import build
from jobyard.compat import DAG, get_parsing_context
from jobyard.contract import LOADERS_FILE, loader_of, release_path
from jobyard.errors import ReleaseError
from jobyard.parts import LoadersFile, counts_at, own_jobs
from jobyard.platform import read_platform
from jobyard.release import checked_jobs, read_json, read_release


def load(file: str) -> dict[str, DAG]:
    """Return the DAGs of the team whose loader `file` is, by DAG id.

    The loader's name says which team's it is, and which of the team's. Nothing is kept between calls. In a task's own
    run, where Airflow reads a loader once more for one DAG, only that one is built, by whichever loader Airflow knows
    it from.

    Raises:
        ReleaseError: `<team>/jobs.json`, or one of the library's own files, cannot be used at all. Airflow shows it as
            an import error of the loader. A single bad job raises nothing: it becomes a DAG that says why.
    """
    loader = Path(file).absolute()
    with _without_garbage_collection():
        return _load(loader.parent, *loader_of(loader.name))


def _load(folder: Path, team: str, part: int) -> dict[str, DAG]:
    release = folder / release_path(team)
    entries, commit = read_release(release, team)
    chosen = {name: entries[name] for name in _chosen(folder, team, part, entries)}
    if not chosen:
        return {}
    platform = read_platform(folder, VERSION)
    dags: dict[str, DAG] = {}
    for name, job in checked_jobs(release, chosen).items():
        dag = build(platform, team, name, job, commit)
        dags[dag.dag_id] = dag
    return dags


def _chosen(folder: Path, team: str, part: int, entries: Mapping[str, object]) -> list[str]:
    """Return the jobs to build, sorted."""
    wanted = get_parsing_context().dag_id
    if wanted is not None:
        return [name for name in entries if wanted == f"{team}.{name}"]
    return own_jobs(entries, part, _counts(folder / LOADERS_FILE, team))


def _counts(path: Path, team: str) -> set[int]:
    if not path.is_file():
        return {1}
    file = cast(LoadersFile, read_json(path))
    try:
        return counts_at(file, team, time.time())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(path, f"is malformed: {type(error).__name__}: {error}") from error


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among objects that all stay: it would look again and again, at ever more."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
