"""One team of a thousand pods beside 39 of ten each: how Kueue shares the places, and whether anybody starves."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.waiting import NotYetError, until
from jobyard_local import tools
from jobyard_local.errors import TookTooLongError
from kubernetes import client  # type: ignore[import-untyped]
from kubernetes.config import new_client_from_config  # type: ignore[import-untyped]
from measure import Target

from tests.charts.conftest import running
from tests.charts.kueue_server import RunningKueue, with_kueue
from tests.charts.test_kueue import FLAVOR, GATE, made, pod, queues

Object = dict[str, Any]
MANY, FEW = "many", [f"few{number:02}" for number in range(39)]
PODS, PODS_OF_FEW = 1000, 10
OWN = 2
"""So many pods fit in each team's own quota."""
ALL = OWN * (len(FEW) + 1)
LONGEST = 900
"""Seconds until all places are taken."""
ROUNDS = Target("at most", 1.5)

TEXT = """\
## One team of {pods:,} pods beside {few} of {pods_of_few}

Kueue with the platform's configuration, beside an API server of its own. Each team's quota has room for {own} pods, and
what a team does not use is lent. The large team comes first and takes all {all} places; then the others come. After
each round all pods that run end at once.

| round | of the large team | fewest of another that waits | most | seconds until all places are taken |
|---|---|---|---|---|
{rows}

The others' last pods ran in round {rounds}. With no pods of the large team it would take {least} rounds. {verdict}
"""


@dataclass(frozen=True)
class Round:
    """The places of each team, those that had pods waiting before it, and the seconds until all were taken."""

    places: Counter[str]
    waiting: frozenset[str]
    seconds: float

    @property
    def row(self) -> str:
        """Return the row of the table but for its number."""
        others = [self.places[team] for team in self.waiting]
        return f"{self.places[MANY]} | {min(others, default=0)} | {max(others, default=0)} | {self.seconds:.0f}"


class Crowd:
    """The teams' pods on an API server with Kueue."""

    def __init__(self, kueue: RunningKueue) -> None:
        # Its certificate is signed by an authority of its own.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._kubectl = kueue.kubectl
        self._api = client.CoreV1Api(new_client_from_config(str(kueue.server.kubeconfig)))
        self._left: Counter[str] = Counter()

    @property
    def waiting(self) -> frozenset[str]:
        """The teams but the large one that have pods which have not run."""
        return frozenset(team for team, pods in self._left.items() if pods and team != MANY)

    def create(self, team: str, number: int) -> None:
        """Make pods of two cores."""
        items = [pod(f"{team}-{index}", f"queue-{team}") for index in range(number)]
        pods = {"apiVersion": "v1", "kind": "List", "items": items}
        done = self._kubectl("create", "-f", "-", stdin=json.dumps(pods))
        assert done.returncode == 0, done.stderr
        self._left[team] = number

    def settle(self) -> Round:
        """Wait until all places are taken."""
        waiting, start = self.waiting, time.monotonic()
        places = until(self._all_taken, LONGEST, TookTooLongError.of("taking all places", LONGEST))
        self._left -= places
        return Round(places, waiting, time.monotonic() - start)

    def end_all(self) -> None:
        """End all pods that run, as a kubelet would."""
        for name, namespace in self._running():
            self._api.patch_namespaced_pod_status(name, namespace, {"status": {"phase": "Succeeded"}})

    def _all_taken(self) -> Counter[str]:
        places = Counter(namespace.removeprefix("queue-") for _, namespace in self._running())
        if places.total() != ALL:
            raise NotYetError(f"{places.total()} of {ALL} are taken")
        return places

    def _running(self) -> Iterator[tuple[str, str]]:
        """Yield name and namespace of the pods that Kueue has let go, and that have not ended."""
        listed = self._api.list_pod_for_all_namespaces(field_selector="status.phase=Pending", _preload_content=False)
        for one in json.loads(listed.data)["items"]:
            gates = [gate["name"] for gate in one["spec"].get("schedulingGates", [])]
            if GATE not in gates:
                yield one["metadata"]["name"], one["metadata"]["namespace"]


def section() -> str:
    """Measure, and return the result as Markdown."""
    with Steps(new_console()) as steps:
        with steps.step("Kueue, from source") as report:
            programs = tools.ensure(cache_dir(), report)
        with (
            tempfile.TemporaryDirectory() as folder,
            _crowd(programs, Path(folder)) as crowd,
            steps.step(f"{PODS} pods beside {len(FEW)} x {PODS_OF_FEW}") as report,
        ):
            rounds = list(_rounds(crowd, report))
    least = -(-PODS_OF_FEW * len(FEW) // ALL)
    taken = sum(1 for one in rounds if one.waiting)
    rows = "\n".join(f"| {number} | {one.row} |" for number, one in enumerate(rounds))
    return TEXT.format(
        pods=PODS,
        few=len(FEW),
        pods_of_few=PODS_OF_FEW,
        own=OWN,
        all=ALL,
        rows=rows,
        rounds=taken,
        least=least,
        verdict=ROUNDS.verdict(taken / least),
    )


def _rounds(crowd: Crowd, report: Callable[[str], None]) -> Iterator[Round]:
    """Yield the rounds until no team but the large one waits; in the first, this is alone."""
    report("the large team's pods")
    crowd.create(MANY, PODS)
    yield crowd.settle()
    for team in FEW:
        report(f"the pods of {team}")
        crowd.create(team, PODS_OF_FEW)
    while crowd.waiting:
        report(f"{len(crowd.waiting)} teams wait")
        crowd.end_all()
        yield crowd.settle()


@contextmanager
def _crowd(programs: Path, state: Path) -> Iterator[Crowd]:
    """An API server with Kueue and the teams' queues."""
    with running(programs, state) as server, with_kueue(programs, state, server) as kueue:
        objects = [made("ResourceFlavor", FLAVOR, {"nodeLabels": {"jobyard.dev/node-group": FLAVOR}})]
        for team in (MANY, *FEW):
            objects += queues(team, str(2 * OWN))
        applied = kueue.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
        assert applied.returncode == 0, applied.stderr
        # The controller manager, which does not run here, makes one in each namespace.
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        places = [{"name": "default", "namespace": f"queue-{team}"} for team in (MANY, *FEW)]
        kueue.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all([{**account, "metadata": one} for one in places]))
        yield Crowd(kueue)
