"""`jobyard kubeconfig`: how Airflow reaches the cluster."""

from __future__ import annotations

from pathlib import Path

from jobyard_cli.cli.options import EnvironmentName, Output, PlatformRepository, write


def kubeconfig(environment: EnvironmentName, output: Output = None, repo: PlatformRepository = Path()) -> None:
    """Write Airflow's kubeconfig for MWAA: a context for each team, which assumes that team's IAM role."""
    from jobyard_cli.platform.environments import load_environment
    from jobyard_cli.platform.kubeconfig import kubeconfig as generated

    write(generated(load_environment(repo, environment)), output)
