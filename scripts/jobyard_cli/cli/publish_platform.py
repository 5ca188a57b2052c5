"""`jobyard publish-platform`: the platform's own files in Airflow's bucket."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import AirflowUrl, Bucket, EndpointUrl, EnvironmentName, PlatformRepository, require_file

if TYPE_CHECKING:
    from jobyard.platform_entries import PlatformFile

    from jobyard_cli.platform.environments import Environment
    from jobyard_cli.release.file import ReleaseFile


def publish_platform(
    environment: EnvironmentName,
    bucket: Bucket = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            help="Airflow's kubeconfig, with a context for each team, named after the team.",
            show_default="what `jobyard kubeconfig` writes",
        ),
    ] = None,
    endpoint_url: EndpointUrl = None,
    airflow_url: AirflowUrl = None,
    pools: Annotated[
        bool, typer.Option(help="First create the teams' pools in Airflow, and their roles where it has roles.")
    ] = True,
    images: Annotated[
        Path | None,
        typer.Option(help="JSON file with the addresses of the platform's own images: `jobyard images` writes it."),
    ] = None,
    repo: PlatformRepository = Path(),
) -> None:
    """Publish the platform's files to Airflow's bucket: library, loaders, node groups, kubeconfig, exec plugin.

    First it creates each team's pools in Airflow, which starts no task whose pool does not exist. Last it releases the
    platform's own job, where the environment has `metrics`.
    """
    from jobyard_cli.aws import clients as aws
    from jobyard_cli.platform import environments
    from jobyard_cli.platform.exec_entry import PLUGIN
    from jobyard_cli.platform.files import platform_files, require_files
    from jobyard_cli.platform.kubeconfig import kubeconfig as generated
    from jobyard_cli.platform.loader_counts import loader_counts
    from jobyard_cli.platform.own_jobs import prices
    from jobyard_cli.platform.prepare import prepare
    from jobyard_cli.platform.publish import publish
    from jobyard_cli.platform.publish_own import publish_own
    from jobyard_cli.sync.target import Given
    from jobyard_cli.system.git import commit, is_later

    if kubeconfig is not None:
        require_file("--kubeconfig", kubeconfig)
    chosen = environments.load_environment(repo, environment)
    target = bucket or environments.bucket(chosen)
    require_files(repo, f"dags/{PLUGIN}")
    config = generated(chosen) if kubeconfig is None else kubeconfig.read_text(encoding="utf-8")
    data = _platform_data(repo, chosen)
    # A mistake in the platform's own jobs is reported before anything is published.
    release = _own_release(repo, chosen, images)
    for warning in _quota_warnings(repo, chosen):
        print(f"warning: {warning}")
    if pools:
        for line in prepare(chosen, airflow_url):
            print(line)
    counts = loader_counts(chosen.all_teams)
    files = platform_files(repo / "dags", counts, data, config, prices(repo, chosen))
    client = aws.s3(endpoint_url, chosen.values.get("region"))
    done = publish(client, target, files, commit(repo), partial(is_later, repo))
    for name in done.put:
        print(f"put s3://{target}/dags/{name}")
    for name in done.deleted:
        print(f"deleted s3://{target}/dags/{name}")
    print(f"{done.unchanged} of {done.unchanged + len(done.put)} files were unchanged")
    if release is not None:
        given = Given(target, endpoint_url, airflow_url, wait=pools)
        for line in publish_own(chosen, release, given, partial(is_later, repo)):
            print(line)


def _own_release(repo: Path, environment: Environment, images: Path | None) -> ReleaseFile | None:
    from jobyard_cli.images.addresses_file import read_images
    from jobyard_cli.platform.own_jobs import own_release
    from jobyard_cli.system.git import commit

    return own_release(repo, environment, commit(repo), read_images(images) if images else {})


def _quota_warnings(repo: Path, environment: Environment) -> list[str]:
    from jobyard.contract import NO_QUEUEING

    from jobyard_cli.platform import environments
    from jobyard_cli.platform.queues import quota_warnings

    if environment.values.get("queueing", NO_QUEUEING) == NO_QUEUEING:
        return []
    return list(quota_warnings(environment.all_teams, environments.load_node_groups(repo)))


def _platform_data(repo: Path, environment: Environment) -> PlatformFile:
    from jobyard_cli.images.addresses import pod_limits
    from jobyard_cli.platform import environments
    from jobyard_cli.platform.data import platform_data
    from jobyard_cli.platform.files import shared_variables, task_types

    groups = environments.load_node_groups(repo)
    return platform_data(
        groups,
        environment.name,
        task_types=task_types(repo / "values"),
        teams=environment.all_teams,
        limits=pod_limits(environment),
        roles=bool(environment.values.get("airflowRoles")),
        data_buckets=environment.data_buckets,
        variables=shared_variables(repo / "values"),
    )
