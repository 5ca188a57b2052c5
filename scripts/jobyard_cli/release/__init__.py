"""A team's release: compiled from its jobs, put into Airflow's bucket, and read from there."""
