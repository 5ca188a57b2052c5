"""Plays a scenario on a cluster of its own, and keeps what happened."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.cli.steps import Step
from jobyard_cli.system.folders import cache_dir, state_dir
from jobyard_local import tools

from night import built_karpenter
from night.cluster import running
from night.driver import Night, Record
from night.scenario import ROOT, Scenario
from night.workload import Job

RECORDS = ROOT / "build" / "night"
"""What happened in the nights that were played last."""


def play(scenario: Scenario, jobs: Sequence[Job], step: Step) -> Record:
    """Play a night, write what happened into `RECORDS`, and return it.

    Raises:
        JobyardError: something could not be built or started.
    """
    programs = tools.ensure(cache_dir(), step)
    karpenter = built_karpenter.build(ROOT / "build" / "karpenter", step)
    state = state_dir("bench-night")
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    step(f"{len(jobs)} jobs of {scenario.teams} teams, {scenario.speed} times as fast")
    with running(programs, karpenter, state, scenario) as cluster:
        record = Night(cluster, scenario).play(jobs)
    record.save(file_of(scenario))
    return record


def played(scenario: Scenario) -> Record | None:
    """Return what happened when this scenario was played last, or None if it never was."""
    file = file_of(scenario)
    return Record.load(file) if file.exists() else None


def file_of(scenario: Scenario) -> Path:
    """Return where its record is kept."""
    return RECORDS / f"{scenario.name}-{scenario.teams}-teams-{scenario.speed}-times.json"
