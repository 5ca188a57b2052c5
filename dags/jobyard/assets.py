"""Assets (Airflow 2: datasets): what one job writes and another waits for.

Each job has an asset of its own, `x-jobyard://<team>/<job>`, written when a run has succeeded: `after` waits for it.
The others are objects in S3, or any other name under an `x-` scheme. Airflow leaves such a scheme as it is; for any
other it loads every provider to ask how it is written, up to a second in each process that reads the job.

An asset that is written starts every job that waits for it, so a team writes only those under its own prefixes. It may
wait for any: that starts no job but its own.
"""

import re
from collections.abc import Iterable

from jobyard.compat import Asset
from jobyard.contract import JOB_ID
from jobyard.errors import JobError

URI = re.compile(r"(s3|x-(?!jobyard:)[a-z0-9-]+)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._~!$&'()*+,;=:/-]*)?")


def job_asset(dag_id: str) -> Asset:
    """Return the asset that stands for a successful run of the job.

    Raises:
        JobError: no job can have that name.
    """
    if not JOB_ID.fullmatch(dag_id):
        raise JobError(f"'after' must name a job as <team>.<job>; got {dag_id!r}")
    return Asset(name=dag_id, uri=f"x-jobyard://{dag_id.replace('.', '/')}")


def named_asset(uri: str) -> Asset:
    """Return the asset with that URI.

    Raises:
        JobError: no URI of a team's: another job's success is not a team's to announce.
    """
    if not URI.fullmatch(uri):
        raise JobError(f"an asset must be s3://bucket/key or x-<name>://…; got {uri!r}")
    # Airflow 3 deactivates an asset whose name another one has, and then fails the tasks that write it. So the name is
    # the URI as Airflow normalizes it, without a slash at the end, however a team writes it.
    return Asset(name=Asset(name="x", uri=uri).uri, uri=uri)


def refuse_others(uris: Iterable[str], prefixes: Iterable[str]) -> None:
    """Raise unless each asset is under one of the prefixes; one that does not end in "/" is a whole asset.

    Raises:
        JobError: one is not, or its path is written in a way that has more than one meaning.
    """
    own = sorted(prefixes)
    for uri in uris:
        if not any(uri == prefix or (prefix.endswith("/") and uri.startswith(prefix)) for prefix in own):
            raise JobError(f"the team must not write asset {uri!r}; it may write: {', '.join(own)}")
        if {"", ".", ".."} & set(uri.partition("://")[2].rstrip("/").split("/")[1:]):
            raise JobError(f"an asset's path must not have a part that is empty, '.' or '..'; got {uri!r}")
