"""Where a day's facts come from: Airflow's REST API, Prometheus' HTTP API and the teams' releases."""
