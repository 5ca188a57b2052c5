"""All jobs that the page names, in one order: other files refer to a job by its position in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from jobyard_metrics.page.history import JOB, History, end_of
from jobyard_metrics.page.scripts import columns, known_sum, microdollars, team_file

DESCRIPTION = 160
"""Characters of a description in the summary; a team's file has more."""
RECENT_RESULTS = 14
"""Days of results in the table of jobs."""
MONTH = 30


@dataclass(frozen=True)
class Catalog:
    """`jobs` has the columns `team`, `job` and `position`; `teams` the names of all teams, in order."""

    jobs: pl.DataFrame
    teams: list[str]
    edition: str
    """Changes with the positions, so that the page never joins files of two editions."""

    def positioned(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace `team` and `job` by `job`, the position; null: a pod that belongs to no job."""
        joined = frame.join(self.jobs, on=JOB, how="left", maintain_order="left")
        return joined.drop(*JOB).rename({"position": "job"})


def catalog(history: History) -> Catalog:
    """Return every job that is released, or that ran in the days shown."""
    frames = [history.jobs, history.runs, history.pods]
    named = pl.concat([frame.select(JOB) for frame in frames]).unique()
    jobs = named.filter(pl.col("job") != "").sort(JOB).with_row_index("position")
    text = "\n".join(jobs.select(pl.concat_str(JOB, separator="\0")).to_series())
    return Catalog(
        jobs=jobs.with_columns(pl.col("position").cast(pl.Int64)),
        teams=jobs["team"].unique().sort().to_list(),
        edition=hashlib.sha256(text.encode()).hexdigest()[:12],
    )


def job_columns(history: History, known: Catalog) -> dict[str, Any]:
    """Return the summary's table of jobs, in the catalog's order."""
    frame = (
        known.jobs.join(history.jobs.with_columns(gone=False), on=JOB, how="left")
        .join(_last_results(history), on=JOB, how="left")
        .join(_month(history), on=JOB, how="left")
        .join(_results(history, known), on=JOB, how="left")
        .join(_savings(history), on=JOB, how="left")
        .sort("position")
    )
    overdue = (pl.col("next_run") < end_of(history.day)) & ~pl.col("paused").fill_null(False)
    described = frame.with_columns(
        gone=pl.col("gone").is_null(),
        overdue=overdue.fill_null(False),
        description=_shortened("description", DESCRIPTION),
        team=pl.col("team").replace_strict(known.teams, range(len(known.teams)), return_dtype=pl.Int64),
    )
    return {**columns(described.drop("position", "after", "tasks", "commit")), **_links(described, known)}


def _shortened(name: str, length: int) -> pl.Expr:
    text = pl.col(name)
    is_long = text.str.len_chars() > length
    return pl.when(is_long).then(text.str.slice(0, length - 1) + "…").otherwise(text)


def _last_results(history: History) -> pl.DataFrame:
    """The newest run of each job: `state`, `ended` and `duration`."""
    last = history.runs.sort("ended").group_by(JOB).last()
    return last.select(*JOB, "state", "ended", duration=(pl.col("ended") - pl.col("started")).dt.total_seconds())


def _month(history: History) -> pl.DataFrame:
    """Each job's runs, failures and cost of the last 30 days."""
    is_recent = pl.col("day") > history.day - timedelta(days=MONTH)
    failed = (pl.col("state") == "failed").sum()
    runs = history.runs.filter(is_recent).group_by(JOB).agg(runs=pl.len(), failed=failed)
    costs = history.pods.filter(is_recent).group_by(JOB).agg(cost=known_sum("cost"))
    return runs.join(costs, on=JOB, how="full", coalesce=True).with_columns(cost=microdollars(pl.col("cost")))


def _results(history: History, known: Catalog) -> pl.DataFrame:
    """`results`: a character for each of the last days: `s` all succeeded, `f` one failed, `-` no run, `?` no data."""
    days = [history.day - timedelta(days=count) for count in reversed(range(RECENT_RESULTS))]
    failed = (pl.col("state") == "failed").any()
    mark = pl.when(failed).then(pl.lit("f")).otherwise(pl.lit("s")).alias("mark")
    marks = history.runs.filter(pl.col("day") >= days[0]).group_by(*JOB, "day").agg(mark)
    blank = pl.when(pl.col("day").is_in(history.days)).then(pl.lit("-")).otherwise(pl.lit("?"))
    grid = known.jobs.select(JOB).join(pl.DataFrame({"day": days}), how="cross")
    filled = grid.join(marks, on=[*JOB, "day"], how="left").with_columns(pl.col("mark").fill_null(blank))
    return filled.sort(*JOB, "day").group_by(JOB).agg(results=pl.col("mark").str.join(""))


def _savings(history: History) -> pl.DataFrame:
    saved = history.advice.group_by(JOB).agg(saves=known_sum("saves"))
    return saved.with_columns(saves=microdollars(pl.col("saves")))


def _links(frame: pl.DataFrame, known: Catalog) -> dict[str, Any]:
    """`after` by position; jobs that no team has released follow the others' positions, named in `unknown`."""
    names = frame.select(pl.col("after").fill_null([]))["after"].to_list()
    identifiers = known.jobs.select(pl.concat_str(JOB, separator=".")).to_series().to_list()
    released = set(identifiers)
    linked = {name for links in names for name in links}
    unknown = sorted(linked - released)
    positions = {name: position for position, name in enumerate([*identifiers, *unknown])}
    return {"after": [[positions[name] for name in links] for links in names], "unknown": unknown}


def team_columns(history: History, known: Catalog) -> dict[str, Any]:
    """Return the summary's table of teams, in the catalog's order."""
    counts = history.jobs.group_by("team").len("jobs")
    is_recent = pl.col("day") > history.day - timedelta(days=MONTH)
    costs = history.pods.filter(is_recent).group_by("team").agg(cost=known_sum("cost"))
    frame = pl.DataFrame({"team": known.teams}, schema={"team": pl.String})
    joined = frame.join(counts, on="team", how="left").join(costs, on="team", how="left").sort("team")
    files = [team_file(team) for team in known.teams]
    return {
        **columns(joined.with_columns(pl.col("jobs").fill_null(0), cost=microdollars(pl.col("cost")))),
        "file": files,
    }
