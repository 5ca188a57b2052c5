"""The catalogue as managed node groups, and what a person meets who asks for them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard_local.simulated_nodes import simulated_node

from tests.support.command import Jobyard, jobyard_in
from tests.support.paths import ROOT

GROUP: dict[str, Any] = {
    "description": "Any.",
    "startupTimeout": 600,
    "architecture": "amd64",
    "instanceTypes": ["g5.4xlarge", "g5.2xlarge"],
    "capacity": {"cpu": "16", "memory": "64Gi", "ephemeralStorage": "1Ti", "gpu": 1},
    "allocatable": {"cpu": "7", "memory": "28Gi", "ephemeralStorage": "900Gi", "gpu": 1},
    "labels": {"jobyard.dev/node-group": "gpu", "example.com/licence": "yes"},
    "taints": [
        {"key": "jobyard.dev/node-group", "value": "gpu", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoExecute"},
    ],
    "minNodes": 1,
    "maxNodes": 4,
    "capacityType": "spot",
}
PLAIN: dict[str, Any] = {
    **GROUP,
    "instanceTypes": ["m7i.large"],
    "capacity": {"cpu": "2", "memory": "8Gi", "ephemeralStorage": "50Gi"},
    "allocatable": {"cpu": "1", "memory": "6Gi", "ephemeralStorage": "40Gi"},
    "labels": {"jobyard.dev/node-group": "plain"},
    "taints": [],
    "minNodes": 0,
    "capacityType": "on-demand",
}
PROD = {"environment": {"name": "prod", "region": "eu-central-1", "cluster": {"name": "ml"}}}


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A platform's repository with these two groups, and with the environments dev and prod."""
    for folder in ("environments", "teams"):
        (tmp_path / "values" / folder).mkdir(parents=True)
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    for name in ("prices.yaml", "prices.schema.json"):
        (tmp_path / "values" / name).write_text((ROOT / "values" / name).read_text())
    (tmp_path / "values" / "node-groups.yaml").write_text(
        yaml.safe_dump({"nodeGroups": {"gpu": GROUP, "plain": PLAIN}})
    )
    (tmp_path / "values" / "environments" / "prod.yaml").write_text(yaml.safe_dump(PROD))
    (tmp_path / "values" / "environments" / "dev.yaml").write_text("environment: {name: dev, region: eu-central-1}\n")
    return tmp_path


@pytest.fixture
def node_groups(platform: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Jobyard:
    """Run `jobyard node-groups` there."""
    return partial(jobyard_in(platform, capsys, monkeypatch), "node-groups")


def test_eksctl_gets_a_managed_node_group_for_each_group(node_groups: Jobyard) -> None:
    code, out, err = node_groups("--environment", "prod", "--format", "eksctl")
    assert (code, err) == (0, "")
    assert out.startswith("# Made from values/node-groups.yaml by `jobyard node-groups --environment prod`.\n")
    config = yaml.safe_load(out)
    gpu, plain = config.pop("managedNodeGroups")
    assert config == {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": "ml", "region": "eu-central-1"},
    }
    assert gpu == {
        "name": "gpu",
        "amiFamily": "AmazonLinux2023",
        # The autoscaler reckons with one size.
        "instanceTypes": ["g5.4xlarge"],
        "spot": True,
        "minSize": 1,
        "desiredCapacity": 1,
        "maxSize": 4,
        "labels": {"jobyard.dev/node-group": "gpu", "example.com/licence": "yes"},
        "taints": [
            {"key": "jobyard.dev/node-group", "value": "gpu", "effect": "NoSchedule"},
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NoExecute"},
        ],
        "privateNetworking": True,
        "volumeType": "gp3",
        "volumeSize": 1024,
        "volumeEncrypted": True,
        "disableIMDSv1": True,
        "disablePodIMDS": True,
        "tags": {
            "k8s.io/cluster-autoscaler/enabled": "true",
            "k8s.io/cluster-autoscaler/ml": "owned",
            "k8s.io/cluster-autoscaler/node-template/label/jobyard.dev/node-group": "gpu",
            "k8s.io/cluster-autoscaler/node-template/label/example.com/licence": "yes",
            "k8s.io/cluster-autoscaler/node-template/taint/jobyard.dev/node-group": "gpu:NoSchedule",
            "k8s.io/cluster-autoscaler/node-template/taint/nvidia.com/gpu": "present:NoExecute",
            "k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage": "900Gi",
            "k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu": "1",
        },
        "propagateASGTags": True,
    }
    assert (plain["spot"], plain["minSize"], plain["taints"], plain["volumeSize"]) == (False, 0, [], 50)
    assert plain["tags"] == {
        "k8s.io/cluster-autoscaler/enabled": "true",
        "k8s.io/cluster-autoscaler/ml": "owned",
        "k8s.io/cluster-autoscaler/node-template/label/jobyard.dev/node-group": "plain",
        "k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage": "40Gi",
    }


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (
            ["--environment=staging"],
            2,
            "unknown environment 'staging' (available: dev, prod); one is a file, values/environments/<name>.yaml\n",
        ),
        (
            ["--environment=dev"],
            1,
            "values/environments/dev.yaml must say where the cluster is; write under `environment`:\n"
            "  region: eu-central-1\n"
            "  cluster: {name: jobyard-prod}\n",
        ),
        (
            ["--environment=prod", "--repo=values"],
            2,
            "values/values/environments is missing: run this in the root directory of the platform repository\n",
        ),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(
    node_groups: Jobyard, arguments: list[str], expected: int, message: str
) -> None:
    assert node_groups(*arguments) == (expected, "", message)


def test_an_environment_that_is_no_yaml_is_told_with_its_place(platform: Path, node_groups: Jobyard) -> None:
    (platform / "values" / "environments" / "prod.yaml").write_text("environment: {\n")
    code, out, err = node_groups("--environment=prod")
    assert (code, out) == (1, "")
    assert err.startswith("values/environments/prod.yaml:2:1: invalid YAML")


def test_all_that_is_wrong_in_the_catalogue_is_told_with_its_place(platform: Path, node_groups: Jobyard) -> None:
    wrong = {**PLAIN, "architecture": "x86", "maxNodes": 0}
    (platform / "values" / "node-groups.yaml").write_text(yaml.safe_dump({"nodeGroups": {"plain": wrong}}))
    code, out, err = node_groups("--environment=prod")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first.startswith("values/node-groups.yaml:7:") and "x86" in first
    assert second.startswith("values/node-groups.yaml:") and "0" in second


def test_a_simulated_machine_has_what_the_catalogue_says_under_kubernetes_names() -> None:
    status = simulated_node("gpu", GROUP)["status"]
    assert status["allocatable"] == {
        "cpu": "7",
        "memory": "28Gi",
        "ephemeral-storage": "900Gi",
        "nvidia.com/gpu": "1",
        "pods": "110",
    }
    assert status["capacity"]["ephemeral-storage"] == "1Ti"


@pytest.fixture
def catalogue(platform: Path) -> Path:
    """The platform's own catalogue, in that repository."""
    file = platform / "values" / "node-groups.yaml"
    file.write_text((ROOT / "values" / "node-groups.yaml").read_text())
    return file


def groups_of(catalogue: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(catalogue.read_text())["nodeGroups"]
    return found


def test_the_catalogue_has_what_is_computed_of_its_machines(node_groups: Jobyard, catalogue: Path) -> None:
    before = catalogue.read_text()
    assert node_groups("update") == (0, "nothing to update\n", "")
    assert catalogue.read_text() == before


def test_a_group_with_other_machines_has_room_for_a_pod_of_the_largest(node_groups: Jobyard, catalogue: Path) -> None:
    before = catalogue.read_text()
    code, out, err = node_groups("update", "graviton", "--instance-types", "m7g.2xlarge, m7g.4xlarge,c7g.4xlarge")
    assert (code, err) == (0, "")
    assert out == (
        "updated graviton\n"
        "  instanceTypes: [m7g.2xlarge, m8g.2xlarge, m6g.2xlarge, m7g.xlarge, m8g.xlarge, m6g.xlarge, "
        "m7g.large, m8g.large, m6g.large] -> [m7g.4xlarge, m7g.2xlarge, c7g.4xlarge]\n"
        '  capacity: {cpu: "8", memory: 32Gi, ephemeralStorage: 100Gi} -> '
        '{cpu: "16", memory: 64Gi, ephemeralStorage: 100Gi}\n'
        "  allocatable: {cpu: 7700m, memory: 28Gi, ephemeralStorage: 88Gi} -> "
        "{cpu: 15600m, memory: 55Gi, ephemeralStorage: 88Gi}\n"
    )
    kept = before.splitlines()
    assert [line.strip() for line in catalogue.read_text().splitlines() if line not in kept] == [
        "[m7g.4xlarge, m7g.2xlarge, c7g.4xlarge]",
        'capacity: {cpu: "16", memory: 64Gi, ephemeralStorage: 100Gi}',
        "allocatable: {cpu: 15600m, memory: 55Gi, ephemeralStorage: 88Gi}",
    ]
    assert node_groups("--environment", "prod")[0] == 0


def test_a_group_is_added(node_groups: Jobyard, catalogue: Path) -> None:
    before = catalogue.read_text()
    options = ("--disk", "200", "--max-nodes", "3", "--capacity-type", "spot", "--description", "GPUs: the L4's.")
    code, out, err = node_groups("add", "gpu-spot", "--instance-types", "g6.2xlarge,g5.2xlarge", *options)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "next: name it in `allowedNodeGroups` of the teams that may use it, in values/teams/"
    assert catalogue.read_text().startswith(before)
    added = groups_of(catalogue)["gpu-spot"]
    assert added == {
        **groups_of(catalogue)["gpu"],
        "description": "GPUs: the L4's.",
        "instanceTypes": ["g6.2xlarge", "g5.2xlarge"],
        "labels": {"jobyard.dev/node-group": "gpu-spot"},
        "taints": [
            {"key": "jobyard.dev/node-group", "value": "gpu-spot", "effect": "NoSchedule"},
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
        ],
        "maxNodes": 3,
        "capacityType": "spot",
    }
    assert node_groups("update") == (0, "nothing to update\n", "")
    assert node_groups("--environment", "prod")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (
            ["add", "High CPU", "--instance-types=,", "--description= ", "--disk=1", "--max-nodes=0"],
            2,
            "NAME must be lower-case letters, digits and '-', such as high-cpu; got 'High CPU'\n"
            "--instance-types must name at least one; got none\n"
            "--disk must be at least 10 (GiB); got 1\n"
            "--max-nodes must be at least 1; got 0\n"
            "--description must say in words what the machines are for; got nothing\n",
        ),
        (
            ["add", "gpu", "--instance-types=g5.2xlarge", "--description=x"],
            2,
            "node group 'gpu' exists already, in values/node-groups.yaml; `jobyard node-groups update` changes it\n",
        ),
        (
            ["add", "big", "--instance-types=c7i.larg,nothing,m7g.large,g5.xlarge", "--description=x"],
            1,
            "unknown instance type 'c7i.larg'; did you mean 'c7i.large'?\n"
            "unknown instance type 'nothing'; values/prices.yaml does not have it\n"
            "the machines of a node group must have the same architecture; m7g.large has arm64, g5.xlarge has amd64\n"
            "the machines of a node group must have the same number of GPUs; m7g.large has 0, g5.xlarge has 1\n",
        ),
        (
            ["update", "high-cpu", "--instance-types=c7i.8xlarge,r7i.4xlarge"],
            1,
            "one machine of a node group must have the most of everything; c7i.8xlarge has 32 cores and 64Gi, "
            "r7i.4xlarge has 16 cores and 128Gi\n",
        ),
        (
            ["update", "high"],
            2,
            "unknown node group 'high' (values/node-groups.yaml has: default, high-cpu, high-memory, gpu, graviton)\n",
        ),
        (
            ["update", "--instance-types=m7i.large"],
            2,
            "--instance-types needs the NAME of a node group; got none\n",
        ),
        (
            [],
            2,
            "give --environment, whose cluster the node groups are for, or a command: add, update\n",
        ),
    ],
)
def test_a_wrong_answer_changes_nothing(
    node_groups: Jobyard, catalogue: Path, arguments: list[str], expected: int, message: str
) -> None:
    before = catalogue.read_text()
    assert node_groups(*arguments) == (expected, "", message)
    assert catalogue.read_text() == before
