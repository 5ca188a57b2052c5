"""The text of a team's loader. Imports nothing: the library's tests run this file in environments of Airflow."""


def loader_source(team: str) -> str:
    """Return the two lines that turn a team's release into DAGs.

    Airflow's safe mode reads a file only where its text has both "dag" and "airflow" in it.
    """
    comment = f"makes the Airflow DAGs of {team} from its release"
    return f"import jobyard  # {comment}\nglobals().update(jobyard.load(__file__))\n"
