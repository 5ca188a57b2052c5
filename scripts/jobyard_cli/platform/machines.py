"""What pods can get of a machine: computed from the list of EC2's instance types in values/prices.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from jobyard_cli.check.findings import did_you_mean
from jobyard_cli.check.schema import check_schema
from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.documents import load
from jobyard_cli.platform.environments import InvalidValuesError
from jobyard_cli.platform.files import require_files

LIST, LIST_SCHEMA = "values/prices.yaml", "values/prices.schema.json"
GIB = 1024
"""In MiB."""
HYPERVISOR_SHARE = 0.075
"""Of the memory, which Karpenter takes off before it has seen such a machine (karpenter-provider-aws:
`VM_MEMORY_OVERHEAD_PERCENT`)."""
ARM_MEMORY = 64
"""MiB that it takes off besides of machines with Arm processors (karpenter-provider-aws:
pkg/providers/instancetype/types.go)."""
POD_MEMORY, NODE_MEMORY, EVICTION_MEMORY = 11, 255, 100
"""MiB that Amazon's EKS images reserve for each pod and once, and below which the kubelet evicts
(https://github.com/awslabs/amazon-eks-ami)."""
RESERVED_CORES = ((1, 60), (1, 10), (2, 5))
"""Thousandths of a core that the images reserve of each of the first cores; of each that follows `RESERVED_CORE`."""
RESERVED_CORE = 2.5
DAEMON_CPU, DAEMON_MEMORY, DAEMON_DISK = 200, GIB // 2, 1
"""Thousandths of a core, MiB and GiB for the daemons of a node."""
DISK_SHARE, DISK_RESERVED = 0.1, 1
"""Of the disk, below which the kubelet evicts, and GiB that the images reserve."""
CPU_STEP = 100
"""Thousandths of a core to which CPU is rounded down. Memory and disk are rounded down to GiB."""


class MachinesError(JobyardError):
    """The instance types of a node group don't fit together, or are not in the list; the message has every problem."""


@dataclass(frozen=True)
class Machine:
    """An instance type."""

    name: str
    cpu: int  # cores
    memory: int  # MiB
    gpu: int
    architecture: str
    pods: int  # that get an address

    @classmethod
    def of(cls, name: str, entry: Mapping[str, Any]) -> Machine:
        """Return the machine as the list has it."""
        return cls(
            name, entry["cpu"], entry["memory"], entry.get("gpu", 0), entry.get("architecture", "amd64"), entry["pods"]
        )

    def capacity(self, disk: int) -> dict[str, str | int]:
        """Return what the machine has, with a disk of that many GiB, as the catalogue writes it."""
        return self._resources(str(self.cpu), self.memory // GIB, disk)

    def allocatable(self, disk: int) -> dict[str, str | int]:
        """Return what pods can get of it."""
        memory = self.memory - (ARM_MEMORY if self.architecture == "arm64" else 0)
        memory -= ceil(memory * HYPERVISOR_SHARE)
        memory -= POD_MEMORY * self.pods + NODE_MEMORY + EVICTION_MEMORY + DAEMON_MEMORY
        cpu = self.cpu * 1000 - _reserved_cpu(self.cpu) - DAEMON_CPU
        left = int(disk * (1 - DISK_SHARE)) - DISK_RESERVED - DAEMON_DISK
        return self._resources(f"{int(cpu) // CPU_STEP * CPU_STEP}m", memory // GIB, left)

    def _resources(self, cpu: str, memory: int, disk: int) -> dict[str, str | int]:
        found: dict[str, str | int] = {"cpu": cpu, "memory": f"{memory}Gi", "ephemeralStorage": f"{disk}Gi"}
        return {**found, "gpu": self.gpu} if self.gpu else found


def _reserved_cpu(cores: int) -> float:
    reserved, left = 0.0, cores
    for count, each in RESERVED_CORES:
        reserved += min(left, count) * each
        left -= min(left, count)
    return reserved + left * RESERVED_CORE


def read_machines(repo: Path) -> dict[str, Machine]:
    """Return the machines of the list, by instance type; those without a number of pods are left out.

    Raises:
        NotAPlatformRepoError: the list is not there.
        InvalidValuesError: the list is not as its schema has it.
    """
    require_files(repo, LIST, LIST_SCHEMA)
    document = load(repo / LIST, LIST)
    problems = document.findings or list(check_schema(document, repo / LIST_SCHEMA))
    if problems:
        raise InvalidValuesError(sorted(problems))
    entries = document.data["instanceTypes"].items()
    return {name: Machine.of(name, entry) for name, entry in entries if "pods" in entry}


def choose(known: Mapping[str, Machine], names: Sequence[str]) -> list[Machine]:
    """Return the machines of one node group.

    Raises:
        MachinesError: one is not known, or they differ in their architecture or in having GPUs.
    """
    problems = [_unknown(name, known) for name in names if name not in known]
    machines = [known[name] for name in names if name in known]
    architectures = {machine.name: machine.architecture for machine in machines}
    gpus = {machine.name: machine.gpu for machine in machines}
    problems += [*_differences("architecture", architectures), *_differences("number of GPUs", gpus)]
    if problems:
        raise MachinesError("\n".join(problems))
    return machines


def _unknown(name: str, known: Mapping[str, Machine]) -> str:
    closest = did_you_mean(name, sorted(known))
    return f"unknown instance type '{name}'; {closest or f'{LIST} does not have it'}"


def _differences(what: str, values: Mapping[str, object]) -> Iterator[str]:
    if len({*values.values()}) > 1:
        shown = ", ".join(f"{name} has {value}" for name, value in values.items())
        yield f"the machines of a node group must have the same {what}; {shown}"


def largest_first(machines: Sequence[Machine]) -> list[Machine]:
    """Return the machines in their order, but one of the largest size before all others.

    The first is what a machine stands for that is not Karpenter's, such as one of the local platform.

    Raises:
        MachinesError: no machine has the most of everything.
    """
    first = largest(machines)
    return [first, *(machine for machine in machines if machine != first)]


def of_the_largest_size(known: Mapping[str, Machine], names: Sequence[str]) -> list[str]:
    """Return those of a node group's machines that are as large as the first, for what starts one size alone.

    A machine that is not in the list counts as smaller, as nobody knows its size.
    """
    first = known.get(names[0])
    return [name for name in names if name == names[0] or _as_large(known.get(name), first)]


def _as_large(machine: Machine | None, first: Machine | None) -> bool:
    if machine is None or first is None:
        return False
    return (machine.cpu, machine.memory) == (first.cpu, first.memory)


def largest(machines: Sequence[Machine]) -> Machine:
    """Return the machine that has room for every pod of the group: no other has more of anything.

    Raises:
        MachinesError: there is no such machine.
    """
    best = max(machines, key=lambda machine: (machine.memory, machine.cpu))
    for machine in machines:
        if machine.cpu > best.cpu:
            sizes = ", ".join(f"{one.name} has {one.cpu} cores and {one.memory // GIB}Gi" for one in (machine, best))
            raise MachinesError(f"one machine of a node group must have the most of everything; {sizes}")
    return best
