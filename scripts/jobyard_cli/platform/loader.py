"""The text of a team's loader. Imports nothing: the library's tests run this file in environments of Airflow."""


def loader_source(team: str) -> str:
    """Return the three lines that turn a team's release into DAGs.

    Airflow's safe mode reads a file only where its text has both "dag" and "airflow" in it. The DAG processor imports
    what a file imports of Airflow's once, before it starts a process for each reading
    (`dag_processor.parsing_pre_import_modules`): with the operator's module that takes a seventh of the time.
    """
    return f"""\
import airflow.providers.cncf.kubernetes.operators.pod  # which the DAG processor then imports once for all readings
import jobyard  # makes the Airflow DAGs of {team} from its release
globals().update(jobyard.load(__file__))
"""
