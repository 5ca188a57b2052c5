"""The platform's repository, and its own files in Airflow's bucket."""
