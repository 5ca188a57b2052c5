"""Which Airflow has a team's runs."""

from __future__ import annotations

from jobyard_cli.airflow.client import airflow_client, names_airflow
from jobyard_cli.platform.environments import Environment
from jobyard_cli.runs.team_airflow import PATIENCE_SECONDS, TeamAirflow
from jobyard_cli.sync.target import MissingTargetError
from jobyard_cli.team.repo import TeamRepo


def team_airflow(repo: TeamRepo, environment: Environment | None, url: str | None) -> TeamAirflow:
    """Return the Airflow at the address that was given, or else at that of the environment's file.

    Raises:
        MissingTargetError: nothing says which Airflow, or the team is not in the environment.
        AwsClientError: AWS's own settings on this machine can't be used.
    """
    if problem := _problem(repo.team, environment, url):
        raise MissingTargetError([problem])
    client = airflow_client(environment.values if environment else {}, url).within(PATIENCE_SECONDS)
    return TeamAirflow(client, repo.team, [file.parent.name for file in repo.job_files])


def _problem(team: str, environment: Environment | None, url: str | None) -> str:
    """What has to be given or configured, or nothing."""
    if environment is None:
        return "" if url else "give --environment, or the address of Airflow with --airflow-url"
    if team in environment.elsewhere:
        file = f"values/teams/{team}.yaml in the platform's repository"
        return f"team {team} is not in environment {environment.name}: add it under `environments` of {file}"
    if not names_airflow(environment.values, url):
        file = f"values/environments/{environment.name}.yaml"
        return f"{file} must name an Airflow: write `airflow` or `airflowUrl`, or give --airflow-url"
    return ""
