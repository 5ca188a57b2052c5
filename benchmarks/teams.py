"""How the platform grows with its teams: what Argo CD takes to sync them all, and one more, and what that costs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.system.folders import cache_dir, state_dir
from jobyard_local import argocd
from jobyard_local.demo import team_repo
from jobyard_local.demo.story import GRANT
from jobyard_local.errors import TookTooLongError
from jobyard_local.platform import LocalPlatform, build
from jobyard_local.services import GitRepository
from jobyard_local.settings import Source
from measure import Target

COUNTS = (50, 200)
POLL_SECONDS = 120
"""Argo CD's own default."""
LONGEST = 1800
PROCESSES = (
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-repo-server",
    "kube-apiserver",
    "etcd",
)
LINEAR = Target("at most", 1.25)
ONE_MORE = Target("at most", 20, " s")
FLAT = Target("at most", 1.5)


@dataclass(frozen=True)
class Measured:
    """Of a platform with `teams` teams: seconds, objects in the API server, resident memory in MB by process."""

    teams: int
    all_synced: float
    one_more: float
    objects: int
    memory: dict[str, float]


def section() -> str:
    """Measure, and return the result as Markdown."""
    few, many = [_measure(count) for count in COUNTS]
    growth = (many.all_synced / few.all_synced) / (many.teams / few.teams)
    later = many.one_more / few.one_more
    more = f"One team more among {many.teams}: {ONE_MORE.verdict(many.one_more)}"
    flat = f"That is {later:.2f} times as long as among {few.teams}. {FLAT.verdict(later)}"
    each = f"A team takes {growth:.2f} times as long among {many.teams} as among {few.teams}."
    rows = [f"| {title} | {' | '.join(cells)} |" for title, *cells in _rows(few, many)]
    return "\n".join(
        [
            f"## {COUNTS[1]} teams\n",
            "A platform of its own without Airflow, once for each number of teams: from the push of all their files in",
            "`values/teams/` until each team's two Applications are Synced and Healthy; then one team more, on top of",
            f"them. Argo CD polls every {POLL_SECONDS} s, its default; each push is announced as by a webhook, which",
            "refreshes the Applications that it touches. Objects are those that the API server has with the teams and",
            "did not have before.\n",
            f"| | {few.teams} teams | {many.teams} teams |",
            "|---|---|---|",
            *rows,
            "",
            f"{each} {LINEAR.verdict(growth)}\n",
            f"{more} {flat}\n",
        ]
    )


def _rows(*measured: Measured) -> Iterator[tuple[str, ...]]:
    yield "all Synced and Healthy, s", *(f"{one.all_synced:.0f}" for one in measured)
    yield "the same for each team, s", *(f"{one.all_synced / one.teams:.2f}" for one in measured)
    yield "one team more, s", *(f"{one.one_more:.1f}" for one in measured)
    yield "objects for each team", *(f"{one.objects / one.teams:.1f}" for one in measured)
    for process in PROCESSES:
        yield f"memory of {process}, MB", *(f"{one.memory[process]:.0f}" for one in measured)


def _measure(count: int) -> Measured:
    names = [f"team{number:03}" for number in range(count + 1)]
    with _platform() as platform:
        grants = dict(_repositories(platform, names))
        before = _objects(platform)
        all_synced = _time_to_sync(platform, {name: grants[name] for name in names[:-1]})
        objects, memory = _objects(platform) - before, _memory(platform)
        return Measured(count, all_synced, _time_to_sync(platform, grants), objects, memory)


@contextmanager
def _platform() -> Iterator[LocalPlatform]:
    platform = LocalPlatform(state_dir("bench-teams"), Source.find(), POLL_SECONDS)
    with platform.claim():
        try:
            platform.down(purge=True)
            with Steps(new_console()) as steps:
                platform.up(build(platform.source, cache_dir(), steps), steps, scheduler=False)
            yield platform
        finally:
            platform.down(purge=True)


def _repositories(platform: LocalPlatform, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A repository for each team, and what the platform gives it: the same for all."""
    tree = team_repo.bake(platform.source.root, platform.state / "bench")
    values = tree / "values" / "team.yaml"
    baked = values.read_text()
    for name in names:
        values.write_text(baked.replace(team_repo.TEAM, name))
        team_repo.commit(tree, f"Team {name}")
        repository = GitRepository(platform.layout, f"{name}-jobs")
        repository.create()
        repository.push(tree)
        yield name, {"repo": repository.url, **GRANT}


def _time_to_sync(platform: LocalPlatform, grants: dict[str, dict[str, Any]]) -> float:
    started = time.monotonic()
    platform.register(grants)
    wanted = {f"{part}-{team}" for team in grants for part in ("bounds", "team")}
    while missing := wanted - _settled(platform):
        seconds = time.monotonic() - started
        if seconds > LONGEST:
            raise TookTooLongError("syncing all teams", LONGEST, f"{len(missing)} Applications are missing")
        print(f"{seconds:.0f} s: {len(wanted) - len(missing)} of {len(wanted)} Applications are synced", flush=True)
        # Looking at hundreds of Applications takes time from those who sync them.
        time.sleep(0.5 if len(missing) <= 2 else 3)
    return time.monotonic() - started


def _settled(platform: LocalPlatform) -> set[str]:
    return {one.name for one in argocd.statuses(platform.kubectl) if one.settled}


def _objects(platform: LocalPlatform) -> int:
    """All that the API server has, events and leases aside."""
    kinds = platform.kubectl("api-resources", "--verbs=list", "--output=name").split()
    counted = [kind for kind in kinds if not kind.startswith(("events", "leases."))]
    return len(platform.kubectl("get", ",".join(counted), "--all-namespaces", "--output=name").split())


def _memory(platform: LocalPlatform) -> dict[str, float]:
    found = {}
    for name in PROCESSES:
        status = Path(f"/proc/{platform.supervisor.pid(name)}/status").read_text()
        found[name] = int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1000
    return found
