"""What is measured of many pods, in an environment with Airflow."""
