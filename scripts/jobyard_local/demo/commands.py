"""`jobyard demo`: the main job from end to end, on a platform of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.system.folders import cache_dir, state_dir
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from jobyard_local import argocd
from jobyard_local.cluster import node_groups
from jobyard_local.commands import show_addresses, show_applications
from jobyard_local.demo.story import SCORING, TRAINING, DemoError, Story
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.machine_watcher import MachineTime
from jobyard_local.platform import LocalPlatform, build
from jobyard_local.settings import Source
from jobyard_local.usage import PodUsage

NAME = "demo"
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""


@dataclass(frozen=True)
class FinishedDemo:
    """A demo that held: its story, the team's work tree, the day (YYYY-MM-DD) that was scored and by which model, the
    pods of training and scoring, and Karpenter's machines.
    """

    story: Story
    tree: Path
    day: str
    model: Mapping[str, Any]
    pods: Sequence[PodUsage]
    machines: Sequence[MachineTime]


def demo(
    keep: Annotated[bool, typer.Option(help="Keep the platform running until Ctrl-C.")] = True,
) -> None:
    """Create a team, add its jobs, and follow them from a merge request to predictions on S3."""
    started, console = time.monotonic(), new_console()
    platform = LocalPlatform(state_dir(NAME), Source.find())
    # `timeout` and CI end a command with SIGTERM: stop what was started then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    held = False
    with platform.claim():
        try:
            platform.down(purge=True)
            with Steps(console) as steps:
                run_demo(platform, steps, console)
            held = True
            console.print(f"\n[bold green]All of it held[/bold green], in {time.monotonic() - started:.0f} s.")
            if keep:
                _wait(platform, console)
        except KeyboardInterrupt:
            console.print("stopped by hand")
        finally:
            with Steps(console) as steps, steps.step("the platform stops"):
                platform.down(purge=False)
    raise typer.Exit(0 if held else INTERRUPTED)


def run_demo(platform: LocalPlatform, steps: Steps, console: Console) -> FinishedDemo:
    """The whole story on a platform that it starts; what it promises is checked on the way.

    Raises:
        JobyardError: some part did not hold.
    """
    cache = cache_dir()
    built = build(platform.source, cache, steps)
    story = Story(platform, cache, steps)
    tree = story.bake()
    console.print(_tree(tree))
    _quote(console, "jobyard check", story.check(tree))
    with ThreadPoolExecutor() as pool:
        images = pool.submit(story.build_images, tree)
        platform.up(built, steps)
        story.join_platform(tree)
        images.result()
    story.publish_images()
    story.land_data()
    with story.watch() as watcher:
        _quote(console, "jobyard check", story.add_job(tree, TRAINING, "batch-training"))
        story.train()
        _quote(console, "jobyard check", story.add_job(tree, SCORING, "batch-inference"))
        day = story.score()
    with story.watch_machines() as machines:
        _quote(console, "jobyard check", story.add_large_job(tree))
        story.compare()
        story.collect()
        story.wait_without(machines)
    finished = FinishedDemo(
        story, tree, day, story.model(), list(watcher.pods.values()), list(machines.machines.values())
    )
    show(finished, console)
    return finished


def show(demo: FinishedDemo, console: Console) -> None:
    """The result, each part of it checked.

    Raises:
        DemoError: a pod ran on another node group than its job says, Karpenter made no machine, an Application is not
            in sync, or there are no predictions.
    """
    story = demo.story
    _show_predictions(story, demo.day, console)
    _show_pods(story, demo.pods, console)
    _show_machines(demo.machines, console)
    applications = argocd.statuses(story.platform.kubectl)
    show_applications(applications, console)
    if not all(application.settled for application in applications):
        raise DemoError("an Argo CD Application is not Synced and Healthy")
    show_addresses(story.platform, console)


def _show_machines(machines: Sequence[MachineTime], console: Console) -> None:
    if not machines:
        raise DemoError("Karpenter made no machine")
    title = "Karpenter's machines (simulated)"
    table = Table("node group", "instance type", "came", "went after", title=title, title_justify="left")
    for machine in sorted(machines, key=lambda machine: machine.joined):
        seconds = "" if machine.seconds is None else f"{machine.seconds:.0f} s"
        table.add_row(machine.node_group, machine.instance_type, f"{machine.joined:%H:%M:%S} UTC", seconds)
    console.print(table)


def _show_predictions(story: Story, day: str, console: Console) -> None:
    predictions, model = story.predictions(day), story.model()
    if predictions.empty:
        raise DemoError(f"there are no predictions for {day}")
    title = f"Predictions for {day}: {len(predictions)} rows, by the model of {model['dt']} (AUC {model['auc']:.3f})"
    table = Table(*predictions.columns, title=title, title_justify="left")
    for row in predictions.head().itertuples(index=False):
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)


EXPECTED_GROUPS = {
    (TRAINING, "features"): "high-cpu",
    (TRAINING, "train"): "default",
    (SCORING, "features"): "high-cpu",
    (SCORING, "inference"): "default",
}


def _show_pods(story: Story, pods: Sequence[PodUsage], console: Console) -> None:
    nodes = node_groups(story.platform.kubectl)
    table = Table("job", "task", "node", "node group", "seconds", "peak memory", title="Pods", title_justify="left")
    for pod in sorted(pods, key=lambda pod: (pod.started is None, pod.started)):
        group = nodes.get(pod.node, "?")
        peak = f"{pod.peak_bytes / 2**20:.0f} MiB" if pod.peak_bytes else "?"
        seconds = "?" if pod.seconds is None else f"{pod.seconds:.0f}"
        table.add_row(pod.job, pod.task, pod.node, group, seconds, peak)
    console.print(table)
    placed = {(pod.job, pod.task): nodes.get(pod.node, "?") for pod in pods}
    if placed != EXPECTED_GROUPS:
        raise DemoError(f"pods ran on {placed}, where the jobs say {EXPECTED_GROUPS}")


def _quote(console: Console, command: str, answer: str) -> None:
    for line in answer.strip().splitlines():
        console.print(f"  [dim]{command}:[/dim] {line}", highlight=False)


def _tree(folder: Path) -> Tree:
    tree = Tree(f"[bold]{folder.name}/[/bold]")
    _grow(tree, folder, depth=2)
    return tree


def _grow(branch: Tree, folder: Path, depth: int) -> None:
    for entry in sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name)):
        if entry.name == ".git":
            continue
        leaf = branch.add(entry.name + ("/" if entry.is_dir() else ""))
        if entry.is_dir() and depth > 1:
            _grow(leaf, entry, depth - 1)


def _wait(platform: LocalPlatform, console: Console) -> None:
    console.print(f"Look around: {platform.layout.airflow_url} (team {TEAM}). Ctrl-C stops the platform.")
    while True:
        time.sleep(3600)
