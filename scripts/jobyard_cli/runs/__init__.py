"""A team's runs in Airflow: what they are, their logs, and how to start, repeat and clear them."""
