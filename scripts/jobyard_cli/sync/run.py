"""One sync, step by step. Each step can be repeated, so that running it again finishes one that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobyard.entries import Job
from jobyard.entries import Release as Content

from jobyard_cli.airflow.transport import AirflowError
from jobyard_cli.aws.errors import store_errors
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.pools import missing_pools
from jobyard_cli.release.file import ReleaseFile
from jobyard_cli.release.releases import IsLater, OlderReleaseError, Published, Release, publish, roll_back
from jobyard_cli.sync.airflow_state import ImportFailure, Watcher, import_errors
from jobyard_cli.sync.target import Target
from jobyard_cli.sync.variables import converge, newest_images
from jobyard_cli.sync.wait import Wait, Waited
from jobyard_cli.system.waiting import insist

Report = Callable[[str], None]


class MissingPoolError(AirflowError):
    """Airflow lacks a pool that the platform makes; nothing was released."""

    def __init__(self, pools: list[str]) -> None:
        super().__init__(
            f"Airflow has no pool {', '.join(pools)}, and starts no task whose pool does not exist. The platform makes "
            "pools from the team's file, with `jobyard publish-platform`; nothing was released"
        )


class BucketNotVersionedError(JobyardError):
    """The release is in, but the bucket keeps none before it."""

    def __init__(self, bucket: str) -> None:
        super().__init__(
            f"s3://{bucket} is not versioned: this release is published, but the previous one is lost, and "
            "`jobyard sync --rollback` can't restore it. MWAA requires versioning, too; enable it once: "
            f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        )


@dataclass(frozen=True)
class Synced:
    """What a sync did."""

    published: Published
    jobs: int
    images: int = 0
    """The number of images in the release."""
    told_images: bool = True
    """False where there is no way to tell Airflow about them."""
    waited: Waited | None = None
    again: Release | None = None
    """The earlier release that was put again, if one was."""


def sync(target: Target, release: ReleaseFile, by: str, is_later: IsLater, timeout: float, report: Report) -> Synced:
    """Put a release, then its images, then wait until Airflow has it.

    Raises:
        MissingPoolError: Airflow lacks a pool of the team's.
        OlderReleaseError: the bucket has a later commit's; its images were made sure of.
        StoreError: the bucket refuses or does not answer.
        AirflowError: Airflow refuses, or can't use the release.
        AirflowTimeoutError: Airflow does not have it in time.
        SetVariableError: the Variable with the images could not be written.
    """
    errors = _errors_before(target, report)
    _refuse_missing_pools(target, release.content["jobs"])
    try:
        published = publish(target.s3, target.bucket, release, by, is_later, compare=target.airflow is not None)
    except OlderReleaseError:
        # Who put that release may have been killed before it came to the images.
        if target.variable:
            newest_images(target.variable, target.released)
        raise
    outcome = "released" if published.changed else "these jobs are released already"
    report(f"{published.address}: {outcome}")
    return _follow(target, release.content, published, errors, timeout, report)


def go_back(target: Target, commit: str, by: str, timeout: float, report: Report) -> Synced:
    """Put an earlier release again, then its images, then wait until Airflow has it.

    Raises:
        UnknownReleaseError: the release to restore does not exist.
        StoreError: the bucket refuses or does not answer, or another release went in meanwhile.
        AirflowError: Airflow refuses, or can't use the release.
        AirflowTimeoutError: Airflow does not have it in time.
        SetVariableError: the Variable with the images could not be written.
    """
    errors = _errors_before(target, report)
    _refuse_missing_pools(target, {})
    done = roll_back(target.s3, target.bucket, target.team, commit, by)
    outcome = "is there again" if done.published.changed else "is the newest already"
    short_commit = done.release.commit[:12] or "?"
    report(f"the release of commit {short_commit}, put {done.release.time:%Y-%m-%d %H:%M:%S}Z, {outcome}")
    return _follow(target, done.content, done.published, errors, timeout, report, done.release)


def _refuse_missing_pools(target: Target, jobs: Mapping[str, Job]) -> None:
    """Raise where Airflow lacks a pool that the tasks wait in: it would say so nowhere, and start none of them."""
    if target.airflow is None:
        return
    pools = {target.team}
    for job in jobs.values():
        for task in job["tasks"].values():
            if pool := task.get("pool"):
                pools.add(pool)
    if missing := missing_pools(target.airflow, pools):
        raise MissingPoolError(missing)


def _errors_before(target: Target, report: Report) -> Mapping[str, ImportFailure]:
    """The import errors of the team's file; where Airflow can't be asked, nothing is put at all."""
    if target.airflow is None:
        return {}
    airflow = target.airflow
    return insist(lambda: import_errors(airflow.once, target.team), airflow.patience, report=report)


def _follow(
    target: Target,
    content: Content,
    published: Published,
    errors: Mapping[str, ImportFailure],
    timeout: float,
    report: Report,
    again: Release | None = None,
) -> Synced:
    images = dict(content.get("images") or {})
    if images and target.variable and converge(target.variable, target.released, published.etag, images):
        report(f"{target.variable.address}: set")
    waited = _wait(target, content["jobs"], published, errors, timeout, report)
    return Synced(published, len(content["jobs"]), len(images), target.variable is not None, waited, again)


def _wait(
    target: Target,
    jobs: Mapping[str, Job],
    published: Published,
    errors: Mapping[str, ImportFailure],
    timeout: float,
    report: Report,
) -> Waited | None:
    """Wait until Airflow has these jobs; None where Airflow is not asked."""
    if target.airflow is None:
        return None
    digests = {name: str(job.get("digest")) for name, job in jobs.items()}
    before = published.before or {}
    changed = [name for name, digest in digests.items() if before.get(name) != digest]
    removed = before.keys() - digests.keys()

    def superseded() -> bool:
        with store_errors(published.address):
            newest = target.released.newest()
        return newest is not None and newest.etag != published.etag

    # The wait has a deadline of its own.
    airflow = target.airflow.once
    watcher = Watcher(airflow, target.team, digests, changed, removed)
    return Wait(airflow, watcher, superseded, errors, report).until_there(timeout)
