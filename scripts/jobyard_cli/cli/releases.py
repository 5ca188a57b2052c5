"""`jobyard releases`: what is released, and what one can roll back to."""

from __future__ import annotations

from jobyard_cli.cli.options import (
    Bucket,
    EndpointUrl,
    OptionalEnvironmentName,
    PlatformWorkTree,
    TeamRepository,
    pipeline_bucket,
    team_environment,
    team_root,
)


def releases(
    environment: OptionalEnvironmentName = None,
    platform: PlatformWorkTree = None,
    bucket: Bucket = None,
    endpoint_url: EndpointUrl = None,
    repo: TeamRepository = None,
) -> None:
    """List the team's newest releases: time, commit, number of jobs, author. Airflow runs the first.

    Without --environment, the bucket is --bucket or $JOBYARD_BUCKET.
    """
    from jobyard_cli.release.releases import releases as listed
    from jobyard_cli.sync.target import Given, find_target
    from jobyard_cli.team.repo import TeamRepo

    root = team_root(repo)
    given = Given(bucket or pipeline_bucket(environment), endpoint_url, wait=False)
    target = find_target(TeamRepo.load(root).team, team_environment(root, environment, platform), given)
    for release in listed(target.s3, target.bucket, target.team):
        jobs = "?" if release.jobs is None else str(release.jobs)
        commit, by = release.commit[:12] or "?", release.by or "?"
        print(f"{release.time:%Y-%m-%d %H:%M:%S}Z  {commit:12}  {jobs:>4} jobs  {by}")
