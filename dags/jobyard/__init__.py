"""The library MWAA imports: a team's release (`<team>/jobs.json`) becomes its Airflow DAGs."""

from jobyard.loader import load

__all__ = ["load"]
