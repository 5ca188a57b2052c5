"""A whole platform on one machine: real Kubernetes, Argo CD, S3, a registry and Airflow, without Docker."""
