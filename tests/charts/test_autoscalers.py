"""What is made of the catalogue for the autoscalers, held against what they themselves accept."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import ceil
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from jobyard.quantities import parse_quantity
from jobyard_cli.cli.steps import Steps
from jobyard_cli.platform.files import node_groups
from jobyard_cli.platform.machines import of_the_largest_size, read_machines
from jobyard_cli.platform.node_groups import eksctl_config
from jobyard_cli.system.folders import cache_dir

from tests.charts.upstream_files import upstream_files
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.conftest import Server

Object = dict[str, Any]
CATALOGUE = node_groups(ROOT / "values")
FILES = ["values/node-groups.yaml", "values/environments/prod.yaml"]
GROUPS = ["default", "gpu", "graviton", "high-cpu", "high-memory"]


@pytest.fixture(scope="session")
def upstream(shown: Callable[[], AbstractContextManager[Steps]]) -> Path:
    """Karpenter's kinds and eksctl's schema, fetched where the cache has none."""
    with shown() as steps, steps.step("what Karpenter and eksctl accept") as report:
        return upstream_files(cache_dir(), report)


@pytest.fixture(scope="session")
def made(render_chart: Callable[..., list[Object]]) -> dict[str, Object]:
    """What the platform's chart makes for Karpenter in prod, by kind and name."""
    kinds = ("NodePool", "EC2NodeClass")
    objects = [one for one in render_chart("platform", FILES) if one["kind"] in kinds]
    return {f"{one['kind']} {one['metadata']['name']}": one for one in objects}


@pytest.fixture(scope="session")
def ask(api_server: Server, upstream: Path) -> Callable[..., CompletedProcess[str]]:
    """Ask an API server that has Karpenter's kinds whether it would take some objects; nothing is kept."""
    kinds = "nodepools.karpenter.sh,ec2nodeclasses.karpenter.k8s.aws"
    files = [argument for file in sorted(upstream.glob("*.yaml")) for argument in ("-f", str(file))]
    applied = api_server.kubectl("apply", "--server-side", *files)
    assert applied.returncode == 0, applied.stderr
    # A new kind is served a moment after its definition is there.
    wait_until(lambda: api_server.kubectl("get", kinds).returncode == 0)

    def would_take(*objects: Object) -> CompletedProcess[str]:
        command = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
        return api_server.kubectl(*command, stdin=yaml.safe_dump_all(objects))

    return would_take


def test_karpenter_takes_a_pool_and_a_class_for_each_group(
    ask: Callable[..., CompletedProcess[str]], made: dict[str, Object]
) -> None:
    assert sorted(made) == sorted(f"{kind} jobyard-{name}" for kind in ("NodePool", "EC2NodeClass") for name in GROUPS)
    answer = ask(*made.values())
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("serverside-applied (server dry run)") == 10


def test_karpenter_takes_the_pools_of_auto_mode(
    ask: Callable[..., CompletedProcess[str]], render_chart: Callable[..., list[Object]]
) -> None:
    """Its NodeClass is in no public module, and so is checked by no one here."""
    objects = render_chart("platform", FILES, {"environment": {"karpenter": {"autoMode": True}}})
    pools = [one for one in objects if one["kind"] == "NodePool"]
    assert len([one for one in objects if one["kind"] == "NodeClass"]) == len(pools) == len(GROUPS)
    answer = ask(*pools)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("target", "path", "value", "reason"),
    [
        (
            "NodePool jobyard-gpu",
            "spec.template.metadata.labels",
            {"karpenter.sh/nodepool": "gpu"},
            'label "karpenter.sh/nodepool" is restricted',
        ),
        (
            "NodePool jobyard-gpu",
            "spec.template.spec.requirements",
            [{"key": "kubernetes.io/arch", "operator": "In", "values": []}],
            "requirements with operator 'In' must have a value defined",
        ),
        ("NodePool jobyard-gpu", "spec.template.spec.taint", [], "field not declared in schema"),
        ("NodePool jobyard-gpu", "spec.replicas", 1, "only 'limits.nodes' is supported on static NodePools"),
        ("NodePool jobyard-gpu", "spec.disruption.consolidateAfter", "2 minutes", "should match '^(([0-9]+(s|m|h))"),
        ("NodePool jobyard-gpu", "spec.disruption.budgets", [{"nodes": "0", "reasons": ["Old"]}], "Unsupported value"),
        ("EC2NodeClass jobyard-gpu", "spec.amiSelectorTerms", [{"alias": "al2023"}], "'alias' is improperly formatted"),
        ("EC2NodeClass jobyard-gpu", "spec.role", "", "role cannot be empty"),
        ("EC2NodeClass jobyard-gpu", "spec.subnetSelectorTerms", [{"tags": {"a": ""}}], "empty tag keys or values"),
        ("EC2NodeClass jobyard-gpu", "spec.tags", {"karpenter.sh/nodepool": "x"}, "tag contains a restricted tag"),
    ],
)
def test_karpenter_refuses_a_wrong_one(
    ask: Callable[..., CompletedProcess[str]],
    made: dict[str, Object],
    target: str,
    path: str,
    value: object,
    reason: str,
) -> None:
    wrong = copy.deepcopy(made[target])
    *parents, last = path.split(".")
    place = wrong
    for parent in parents:
        place = place[parent]
    place[last] = value
    answer = ask(wrong)
    assert answer.returncode != 0
    assert reason in answer.stderr


def test_eksctl_takes_the_node_groups(upstream: Path) -> None:
    schema = json.loads((upstream / "eksctl.schema.json").read_text())
    config = eksctl_config(CATALOGUE, read_machines(ROOT), "jobyard-prod", "eu-central-1")
    jsonschema.Draft7Validator(schema).validate(config)
    assert [group["name"] for group in config["managedNodeGroups"]] == list(CATALOGUE)
    config["managedNodeGroups"][0]["taints"] = [{"key": "a", "effects": "NoSchedule"}]
    with pytest.raises(jsonschema.ValidationError, match="'effects' was unexpected"):
        jsonschema.Draft7Validator(schema).validate(config)


@pytest.mark.parametrize("name", GROUPS)
def test_karpenter_starts_a_machine_for_a_pod_that_asks_for_all_that_is_allocatable(upstream: Path, name: str) -> None:
    """It would start none for a pod that is larger than what it reckons with, and the pod would wait for ever."""
    group = CATALOGUE[name]
    limits = (upstream / "vpclimits.go").read_text()
    largest = of_the_largest_size(read_machines(ROOT), group["instanceTypes"])
    reckoned = [_reckoned(group, _pods(limits, instance_type)) for instance_type in largest]
    steps = {"cpu": "100m", "memory": "1Gi", "ephemeralStorage": "1Gi"}
    for resource, step in steps.items():
        spare = min(one[resource] for one in reckoned) - float(parse_quantity(group["allocatable"][resource]))
        assert 0 <= spare < parse_quantity(step), f"{resource}: {spare}"


def _pods(limits: str, instance_type: str) -> int:
    """How many pods the network cards allow: https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html"""
    entry = limits.split(f'"{instance_type}": {{')[1]
    cards, addresses = (
        re.search(rf"{field}:\s+(\d+)", entry) for field in ("MaximumNetworkInterfaces", "IPv4PerInterface")
    )
    assert cards
    assert addresses
    return int(cards[1]) * (int(addresses[1]) - 1) + 2


def _reckoned(group: Object, pods: int) -> dict[str, float]:
    """As pkg/providers/instancetype/types.go of Karpenter's provider has it, less a share for daemons."""
    capacity = {name: float(parse_quantity(value)) for name, value in group["capacity"].items()}
    mebibyte, gibibyte = 2**20, 2**30
    memory = capacity["memory"] / mebibyte - (64 if group["architecture"] == "arm64" else 0)
    for_kubelet = 11 * pods + 255 + 100
    cores = capacity["cpu"]
    reserved_cores = 0.06 + 0.01 * min(cores - 1, 1) + 0.005 * min(max(cores - 2, 0), 2) + 0.0025 * max(cores - 4, 0)
    return {
        "cpu": cores - reserved_cores - 0.2,
        "memory": (memory - ceil(memory * 0.075) - for_kubelet - 512) * mebibyte,
        "ephemeralStorage": capacity["ephemeralStorage"] * 0.9 - 2 * gibibyte,
    }
