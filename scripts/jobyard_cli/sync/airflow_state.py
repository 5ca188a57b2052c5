"""What Airflow has of a team's release, and what of it is not yet, or not, as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from jobyard.contract import BROKEN_MARK, BROKEN_TAG, DIGEST_MARK, digest_line, loader_of

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowNotFoundError

_AT_ONCE = 4


@dataclass(frozen=True)
class ImportFailure:
    """Why Airflow could not import a file, and when it last tried, in its own words."""

    trace: str
    time: str = ""

    def is_after(self, earlier: ImportFailure) -> bool:
        """Return whether Airflow tried again since the other failure, and failed again."""
        return self.time != earlier.time

    def is_like(self, other: ImportFailure | None) -> bool:
        """Return whether it may be the same failure."""
        return other is not None and self.trace == other.trace


@dataclass(frozen=True)
class _Dag:
    """A DAG as Airflow lists it."""

    is_paused: bool
    is_tagged_broken: bool
    """The job is broken, or a person has tagged it so."""

    @classmethod
    def listed(cls, entry: Mapping[str, Any]) -> _Dag:
        """Return the DAG of an entry of Airflow's list."""
        is_tagged_broken = any(tag["name"] == BROKEN_TAG for tag in entry.get("tags") or ())
        return cls(bool(entry["is_paused"]), is_tagged_broken)


@dataclass
class State:
    """One look at Airflow; everything by DAG id."""

    missing: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    """There, but not as it is in the release."""
    leftover: dict[str, bool] = field(default_factory=dict)
    """Removed from the release but still there; true where it is paused."""
    gone: dict[str, bool] = field(default_factory=dict)
    """Removed from the release, and no longer in Airflow's list; true where it is paused, as it is when it comes back.

    Looked at where all else is complete.
    """
    broken: dict[str, str] = field(default_factory=dict)
    """As it is in the release, and why no DAG can be made of that."""
    paused: list[str] = field(default_factory=list)
    import_errors: dict[str, ImportFailure] = field(default_factory=dict)
    """By file, of the team's loaders."""

    @property
    def complete(self) -> bool:
        """Return whether Airflow has the release, and nothing else of the team's."""
        return not (self.missing or self.outdated or self.leftover or self.broken or self.import_errors)

    def __str__(self) -> str:
        incomplete = {
            "not there yet": self.missing,
            "not yet as released": self.outdated,
            "removed but still there": list(self.leftover),
            "not importable": list(self.import_errors),
        }
        parts = [f"{label}: {_shown(names)}" for label, names in incomplete.items() if names]
        return "; ".join(parts) or "complete"


def _shown(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    if len(names) > most:
        shown += f" and {len(names) - most} more"
    return shown


def _dag_ids(team: str, jobs: Iterable[str]) -> list[str]:
    return [f"{team}.{job}" for job in jobs]


class Watcher:
    """Looks at Airflow again and again; what was seen as it is released is not asked for again."""

    def __init__(
        self,
        airflow: AirflowClient,
        team: str,
        jobs: Mapping[str, str],
        changed: Iterable[str],
        removed: Iterable[str] = (),
    ) -> None:
        """Take the release's jobs with their digests, the jobs that show a change soonest, and removed ones.

        Every job's page has to show its digest once. What the bucket had before proves nothing of an Airflow that
        may be several releases behind: one job can be as it was then, while another is not yet as it was since.
        """
        self._airflow = airflow
        self._team = team
        self._digests = dict(zip(_dag_ids(team, jobs), jobs.values(), strict=True))
        first = set(_dag_ids(team, changed))
        self._order = sorted(self._digests, key=lambda dag: (dag not in first, dag))
        self._unseen = set(self._order)
        self._removed = set(_dag_ids(team, removed))

    def look(self) -> State:
        """Return the current state.

        Raises:
            AirflowError: Airflow refused, or could not be reached.
        """
        dags, broken, outdated = self._list_and_pages()
        state = State(missing=sorted(self._digests.keys() - dags.keys()), outdated=outdated, broken=broken)
        for dag in sorted(dags):
            if dag not in self._digests:
                state.leftover[dag] = dags[dag].is_paused
            elif dags[dag].is_paused:
                state.paused.append(dag)
        # Last, as each page was of a moment before: what Airflow could not read since is among them.
        state.import_errors = import_errors(self._airflow, self._team)
        if state.complete:
            state.gone = self._paused(sorted(self._removed - dags.keys()))
        return state

    def _paused(self, dags: Iterable[str]) -> dict[str, bool]:
        """Those that Airflow still knows of these, and whether each is paused."""
        paused = {}
        for dag in dags:
            try:
                paused[dag] = bool(self._airflow.call("GET", f"dags/{dag}")["is_paused"])
            except AirflowNotFoundError:
                continue
        return paused

    def _list_and_pages(self) -> tuple[dict[str, _Dag], dict[str, str], list[str]]:
        """Airflow's list of the team's DAGs, with those whose page says that they are broken, or shows another job.

        A page that is as released may be newer than the list got before it, so that is then got again.
        """
        while True:
            unseen = len(self._unseen)
            dags = self._dags()
            self._removed |= dags.keys() - self._digests.keys()
            broken, outdated = self._compare(list(self._to_compare(dags)))
            if len(self._unseen) == unseen:
                return dags, broken, outdated

    def _dags(self) -> dict[str, _Dag]:
        """The team's DAGs in Airflow's list, by id."""
        prefix = f"{self._team}."
        dags: dict[str, _Dag] = {}
        # Both versions take the pattern as a part of the id, of any team's.
        for entry in self._airflow.listed("dags", "dags", dag_id_pattern=prefix):
            if entry["dag_id"].startswith(prefix):
                dags[entry["dag_id"]] = _Dag.listed(entry)
        return dags

    def _to_compare(self, dags: Mapping[str, _Dag]) -> Iterator[str]:
        """Yield the listed DAGs whose page has to be looked at: not seen as released yet, or perhaps broken since."""
        for dag in self._order:
            if dag in dags and (dag in self._unseen or dags[dag].is_tagged_broken):
                yield dag

    def _compare(self, dags: list[str]) -> tuple[dict[str, str], list[str]]:
        """Those that are as released but broken, with the reason, and those that are not as released.

        Those of one file come together, so it stops asking after the first few that are not as released.
        """
        broken: dict[str, str] = {}
        outdated: list[str] = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for first in range(0, len(dags), _AT_ONCE):
                batch = dags[first : first + _AT_ONCE]
                for dag, page in zip(batch, pool.map(self._page, batch), strict=True):
                    if self._mark(dag) not in page:
                        outdated.append(dag)
                    elif page.startswith(BROKEN_MARK):
                        broken[dag] = _reason(page)
                    else:
                        self._unseen.discard(dag)
                if outdated:
                    return broken, [*outdated, *dags[first + _AT_ONCE :]]
        return broken, outdated

    def _page(self, dag: str) -> str:
        """What Airflow's page of a DAG shows: digest and breakage in one, while its list may be of another moment."""
        try:
            return str(self._airflow.call("GET", f"dags/{dag}/details").get("doc_md") or "")
        except AirflowNotFoundError:
            return ""

    def _mark(self, dag: str) -> str:
        # No text of a person's can have this by chance: it is a digest of that text, too.
        return digest_line(self._digests[dag])


def _reason(page: str) -> str:
    """The text of the page's first block of code."""
    block = page.removeprefix(BROKEN_MARK).partition(f"\n\n{DIGEST_MARK}")[0].strip()
    return "\n".join(block.splitlines()[1:-1])


def import_errors(airflow: AirflowClient, team: str) -> dict[str, ImportFailure]:
    """Return why Airflow can't import the team's loaders, by file.

    Raises:
        AirflowError: Airflow refused, or could not be reached.
    """
    failures: dict[str, ImportFailure] = {}
    for error in airflow.listed("importErrors", "import_errors"):
        file = error["filename"]
        name = PurePosixPath(file).name
        if name.endswith(".py") and loader_of(name)[0] == team:
            failures[file] = ImportFailure(error["stack_trace"], str(error["timestamp"]))
    return failures
