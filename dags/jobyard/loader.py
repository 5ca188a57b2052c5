"""What a team's loader calls.

The loader is `dags/<team>.py`, the platform's, in the bucket beside the folder of the same name:

    import airflow.providers.cncf.kubernetes.operators.pod  # which the DAG processor then imports once
    import jobyard  # Airflow reads a file for DAGs only if it names both
    globals().update(jobyard.load(__file__))
"""

from pathlib import Path

from jobyard import VERSION
from jobyard.builder import build
from jobyard.compat import DAG, get_parsing_context
from jobyard.contract import release_path
from jobyard.platform import read_platform
from jobyard.release import checked_jobs, read_jobs


def load(file: str) -> dict[str, DAG]:
    """Return the DAGs of the team whose loader `file` is, by DAG id.

    The team is the loader's name. Nothing is kept between calls. In a task's own run, where Airflow reads the
    loader once more for one DAG, only that one is built.

    Raises:
        ReleaseError: `<team>/jobs.json` or the library's `platform.json` cannot be used at all. Airflow shows it as
            an import error of the loader. A single bad job raises nothing: it becomes a DAG that says why.
    """
    loader = Path(file).absolute()
    team = loader.stem
    release = loader.parent / release_path(team)
    entries = read_jobs(release, team)
    if not entries:
        return {}
    platform = read_platform(loader.parent, VERSION)
    wanted = get_parsing_context().dag_id
    chosen: dict[str, object] = {}
    for name in sorted(entries):
        if wanted in (None, f"{team}.{name}"):
            chosen[name] = entries[name]
    dags: dict[str, DAG] = {}
    for name, job in checked_jobs(release, chosen).items():
        dag = build(platform, team, name, job)
        dags[dag.dag_id] = dag
    return dags
