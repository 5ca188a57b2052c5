"""Builds the DAGs of a work tree as an environment's Airflow would, before anything is released."""
