"""Airflow from outside: its REST API, and an installation with MWAA's pins."""
