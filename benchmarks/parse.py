"""What Airflow's DAG processor spends on a release, beside other ways to write the same DAGs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bucket import DAG_FACTORY, GUSTY, PEERS, PLAIN, RELEASE, VERSIONS, Bucket, bucket
from jobyard_cli.errors import JobyardError
from measure import ROUNDS, Rounds, Target, in_turn

JOBS = 1_000
BESIDE_PLAIN = Target("at most", 1.15)
PEER_ROUNDS = 5
PEER_JOBS = {"3.3.1": 300, "2.10.3": 100}
BESIDE_PEERS = {
    "3.3.1": {DAG_FACTORY: Target("at least", 4), GUSTY: Target("at least", 5)},
    "2.10.3": {DAG_FACTORY: Target("at least", 6), GUSTY: Target("at least", 6)},
}
OURS_ALONE = {"image", "labels", "config_file", "execution_timeout", "active_deadline_seconds"}
"""Arguments of a release that differ: images by a macro of its own, the labels that Jobyard defines, its own folder,
and timeouts that count from when a pod's container starts."""

GUARDED = re.compile(r"\{\{jobyard_template\('([^']*)'\)\}\}")
ESCAPED = re.compile(r"\\{1,2}u([0-9a-f]{4})")
"""What a release has instead of each template: a call with its text, some of it escaped."""


class DifferentResultError(JobyardError):
    """Two sides make different DAGs, so that comparing them means nothing."""

    def __init__(self, side: str, version: str, name: str, found: str, wanted: str) -> None:
        super().__init__(f"{side} on Airflow {version}: {name} is {found}, not {wanted} as in {PLAIN}")


def section() -> str:
    """Measure, and return the result as Markdown."""
    return f"""\
## Parsing {JOBS:,} jobs of four tasks

CPU time in milliseconds per DAG, of one reading of the file by a process that has read it once before. Every DAG has
four KubernetesPodOperator tasks: Jobyard's from a release, plain Python's with the same arguments written out in one
file. Only Jobyard also announces each job's success as an asset, bounds its templates and shows its source.

{"".join(map(_beside_plain, VERSIONS))}\
## Parsing beside {" and ".join(peer.replace("==", " ") for peer in PEERS)}

The same, for fewer DAGs, which each peer reads from its own YAML: dag-factory a file for each DAG, gusty a folder for
each DAG with a file for each task. What the tasks share is in `default_args`, and resources, tolerations and security
are plain mappings, both of which cost a peer least; dag-factory's `__type__` for them would take it longer. The worker
counts DAGs and tasks, and every argument is compared with plain Python's. What a peer's YAML can't say: the timetable
(so `create_cron_data_intervals` is on, which makes it of a cron expression), and in gusty's a start with a timezone
(so its loader has a tag for that).

{"".join(map(_beside_peers, VERSIONS))}"""


def _beside_plain(version: str) -> str:
    with bucket(JOBS, version) as one:
        rounds = _measure(one, (RELEASE, PLAIN), ROUNDS)
    return f"""\
### {JOBS:,} DAGs on Airflow {version}

{rounds.table(1000 / JOBS)}
{rounds.compare(RELEASE, PLAIN, BESIDE_PLAIN)}
"""


def _beside_peers(version: str) -> str:
    jobs = PEER_JOBS[version]
    with bucket(jobs, version) as one:
        rounds = _measure(one, (RELEASE, PLAIN, DAG_FACTORY, GUSTY), PEER_ROUNDS)
    comparisons = [rounds.compare(peer, RELEASE, target) for peer, target in BESIDE_PEERS[version].items()]
    return f"### {jobs:,} DAGs on Airflow {version}\n\n{rounds.table(1000 / jobs)}\n" + "\n".join(comparisons) + "\n"


def _measure(one: Bucket, sides: Sequence[str], rounds: int) -> Rounds:
    contents: dict[str, dict[str, str]] = {}

    def reading(side: str) -> Callable[[], float]:
        def seconds() -> float:
            measured: dict[str, Any] = one.measure("parse", side)
            contents[side] = measured["content"]
            return float(measured["seconds"])

        return seconds

    counted = in_turn({side: reading(side) for side in sides}, rounds)
    _compare(contents, one.version)
    return counted


def _written(call: re.Match[str]) -> str:
    """Return the template as it was written."""
    return ESCAPED.sub(lambda code: chr(int(code[1], 16)), call[1])


def _compare(contents: Mapping[str, Mapping[str, str]], version: str) -> None:
    for side, content in contents.items():
        for name, wanted in contents[PLAIN].items():
            if side == RELEASE and name.rpartition(".")[2] in OURS_ALONE:
                continue
            found = GUARDED.sub(_written, content.get(name, "missing"))
            if found != wanted:
                raise DifferentResultError(side, version, name, found, wanted)
