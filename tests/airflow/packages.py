"""What the environments with Airflow have in them for the tests, besides what MWAA's have."""

# The provider brings PostgreSQL's drivers, which MWAA has in its base.
TEST_PACKAGES = ["pytest", "apache-airflow-providers-postgres"]
