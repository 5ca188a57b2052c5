"""`jobyard sync`: a team's release goes into the bucket, its images into Airflow's Variable, and Airflow has it."""
