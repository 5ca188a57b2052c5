"""What a pod's status says of how it ended. Each is as the named source of Kubernetes writes it."""

from typing import Any

import pytest
from following_support import at, container, ended, pod
from jobyard.following.target import Ending, Kind
from jobyard.following.verdict import ending
from jobyard.following.watch import trimmed

UNAVAILABLE = "The container could not be located when the pod was terminated"


def verdict(status: dict[str, Any], **metadata: Any) -> Ending:
    """Return how a pod with that status ended."""
    found = pod(**status)
    found["metadata"].update(metadata)
    answer = ending(trimmed(found), "base")
    assert answer is not None
    return answer


def condition(reason: str, message: str, kind: str = "DisruptionTarget", when: float = 5) -> dict[str, Any]:
    """Return a condition of a pod."""
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at(when)}


def killed(*conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    """Return the status of a pod whose container was killed, with what was said of it."""
    return {**ended(137, end=9), "conditions": list(conditions), **status}


def refused(reason: str, message: str) -> dict[str, Any]:
    """Return the status of a pod that its kubelet did not take (kubernetes: pkg/kubelet/kubelet.go, rejectPod)."""
    return {"phase": "Failed", "reason": reason, "message": message}


LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 87012Ki. "
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
LOST = {
    # pkg/scheduler/framework/preemption
    "preempted": killed(
        condition("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod")
    ),
    # pkg/controller/tainteviction/taint_eviction.go
    "taint": killed(condition("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")),
    # pkg/registry/core/pod/storage/eviction.go
    "drained": killed(condition("EvictionByEvictionAPI", "Eviction API: evicting")),
    # It had no time to stop at SIGTERM by itself, or it did.
    "drained in order": {
        **ended(143, end=9),
        "conditions": [condition("EvictionByEvictionAPI", "Eviction API: evicting")],
    },
    # pkg/controller/podgc/gc_controller.go: the kubelet was removed, so the container still runs for the API server.
    "node gone": {
        "phase": "Failed",
        "conditions": [condition("DeletionByPodGC", "PodGC: node no longer exists")],
        "containerStatuses": [container(running={"startedAt": at(0)})],
    },
    # pkg/kubelet/eviction/eviction_manager.go
    "node pressure": killed(
        condition("TerminationByKubelet", LOW),
        reason="Evicted",
        message=LOW + "Container base was using 2Gi, request is 1Gi, has larger consumption of memory. ",
    ),
    "node pressure before 1.26": killed(reason="Evicted", message=LOW),
    "disk pressure at admission": refused("Evicted", "Pod was rejected: The node had condition: [DiskPressure]. "),
    # pkg/kubelet/nodeshutdown/nodeshutdown_manager.go
    "node shutdown": killed(
        condition("TerminationByKubelet", SHUTDOWN),
        reason="Terminated",
        message=SHUTDOWN,
    ),
    "node shutdown before 1.26": killed(reason="Terminated", message=SHUTDOWN),
    "node already shutting down": refused(
        "NodeShutdown", "Pod was rejected: Pod was rejected as the node is shutting down."
    ),
    # pkg/kubelet/preemption/preemption.go
    "preempted by kubelet": killed(
        condition("TerminationByKubelet", "Preempted in order to admit critical pod"),
        reason="Preempting",
        message="Preempted in order to admit critical pod",
    ),
    # pkg/kubelet/lifecycle/predicate.go
    "no room": refused(
        "OutOfcpu", "Node didn't have enough resource: cpu, requested: 4000, used: 14000, capacity: 16000"
    ),
    "no room in 1.33": refused(
        "OutOfmemory", "Pod was rejected: Node didn't have enough resource: memory, requested: 1, used: 1, capacity: 1"
    ),
    "no place": refused("OutOfpods", "Pod was rejected: Node didn't have enough resource: pods"),
    "no device": refused("OutOfnvidia.com/gpu", "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu"),
    # pkg/kubelet/cm/devicemanager, and before its message had a prefix
    "device gone": refused(
        "UnexpectedAdmissionError",
        "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices"
        " nvidia.com/gpu, which is unexpected",
    ),
    "device gone before": refused("UnexpectedAdmissionError", "Pod Allocate failed due to x, which is unexpected"),
    "labels of the node": refused("NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't"),
    "taint at admission": refused("TaintToleration", "Pod was rejected: Predicate TaintToleration failed: node(s) had"),
    "topology": refused("TopologyAffinityError", "Pod was rejected: Resources cannot be allocated with Topology"),
    # pkg/controller/util/node/controller_utils.go
    "node lost": {
        "phase": "Failed",
        "reason": "NodeLost",
        "message": "Node n which was running pod a is unresponsive",
        "containerStatuses": [container(running={"startedAt": at(0)})],
    },
    # pkg/kubelet/status/status_manager.go
    "kubelet forgot": {
        "phase": "Failed",
        "containerStatuses": [
            container(
                terminated={
                    "exitCode": 137,
                    "reason": "ContainerStatusUnknown",
                    "message": UNAVAILABLE,
                    "startedAt": None,
                    "finishedAt": None,
                }
            )
        ],
    },
    # containerd: internal/cri/server/restart.go, after its machine has restarted
    "machine restarted": ended(255, "Unknown"),
    # kueue: pkg/controller/jobs/pod/pod_controller.go
    "preempted in its queue": {
        **ended(143, end=9),
        "conditions": [condition("WorkloadEvictedDueToPreempted", "Preempted to", kind="TerminationTarget", when=5)],
    },
}


@pytest.mark.parametrize("status", LOST.values(), ids=LOST)
def test_what_the_machine_or_kubernetes_took_is_lost(status: dict[str, Any]) -> None:
    found = verdict(status)
    assert found.kind is Kind.LOST
    assert found.node == "node-1"
    assert found.message.strip() and "None" not in found.message


def multi_process_oom() -> dict[str, Any]:
    """A child was killed; the parent saw that and ended by itself (containerd: internal/cri/server/events.go)."""
    return ended(1, "OOMKilled")


OWN = {
    "exit code": (ended(3), Kind.FAILED, "container 'base' ended with exit code 3 (Error)"),
    "killed by itself": (ended(137), Kind.FAILED, "container 'base' ended with exit code 137 (Error)"),
    "segmentation fault": (ended(139), Kind.FAILED, "container 'base' ended with exit code 139 (Error)"),
    # containerd: internal/cri/server/container_start.go; what is wrong with it is the termination message.
    "cannot be run": (
        ended(128, "StartError", "exec: no such file"),
        Kind.FAILED,
        "container 'base' ended with exit code 128 (StartError)",
    ),
    "out of memory": (
        ended(137, "OOMKilled"),
        Kind.OUT_OF_MEMORY,
        "container 'base' was killed, as it used more memory than its limit",
    ),
    "a child out of memory": (
        multi_process_oom(),
        Kind.OUT_OF_MEMORY,
        "container 'base' was killed, as it used more memory than its limit",
    ),
    # pkg/kubelet/active_deadline.go
    "deadline": (
        killed(reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline"),
        Kind.TIMED_OUT,
        "Kubernetes stopped the pod: Pod was active on the node longer than the specified deadline",
    ),
    # pkg/kubelet/eviction/helpers.go
    "scratch space": (
        killed(reason="Evicted", message='Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". '),
        Kind.FAILED,
        'Evicted: Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ',
    ),
    "pod's disk": (
        killed(
            reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
        ),
        Kind.FAILED,
        "Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
    ),
    "container's disk": (
        killed(reason="Evicted", message='Container base exceeded its local ephemeral storage limit "2Gi". '),
        Kind.FAILED,
        'Evicted: Container base exceeded its local ephemeral storage limit "2Gi". ',
    ),
    "disk of a container that is not found afterwards": (
        {
            "phase": "Failed",
            "reason": "Evicted",
            "message": 'Container base exceeded its local ephemeral storage limit "2Gi". ',
            "containerStatuses": [
                container(terminated={"exitCode": 137, "reason": "ContainerStatusUnknown", "message": UNAVAILABLE})
            ],
        },
        Kind.FAILED,
        'Evicted: Container base exceeded its local ephemeral storage limit "2Gi". ',
    ),
    "disk of a container without a status": (
        {"phase": "Failed", "reason": "Evicted", "message": 'Usage of EmptyDir volume "s" exceeds the limit "1Gi". '},
        Kind.FAILED,
        'Evicted: Usage of EmptyDir volume "s" exceeds the limit "1Gi". ',
    ),
    # pkg/kubelet/kuberuntime: the container never ran.
    "init container": (
        {
            "phase": "Failed",
            "containerStatuses": [container(waiting={"reason": "PodInitializing"})],
            "initContainerStatuses": [container("fetch", terminated={"exitCode": 4, "reason": "Error"})],
        },
        Kind.NOT_STARTED,
        "the pod failed before it started: init container 'fetch' ended with exit code 4",
    ),
    "nothing said": (
        {"phase": "Failed"},
        Kind.NOT_STARTED,
        "the pod failed before it started: Kubernetes does not say why",
    ),
    "some reason": (
        {"phase": "Failed", "reason": "PodGroupGone", "message": "of a controller"},
        Kind.NOT_STARTED,
        "the pod failed before it started: PodGroupGone: of a controller",
    ),
    # A failure is its own although its node was drained, or the pod deleted, a while after.
    "failed before its node was drained": (
        {**ended(3, end=9), "conditions": [condition("DeletionByTaintManager", "Taint manager: ...", when=60)]},
        Kind.FAILED,
        "container 'base' ended with exit code 3 (Error)",
    ),
    "a disruption that was called off": (
        {**ended(3), "conditions": [{**condition("PreemptionByScheduler", ""), "status": "False"}]},
        Kind.FAILED,
        "container 'base' ended with exit code 3 (Error)",
    ),
    "success": (ended(), Kind.SUCCEEDED, ""),
    # The pod's own exit decides: it had the time that it needed.
    "success all the same": (
        {**ended(), "conditions": [condition("EvictionByEvictionAPI", "Eviction API: evicting")]},
        Kind.SUCCEEDED,
        "",
    ),
    "a child out of memory, and success": (ended(0, "OOMKilled"), Kind.SUCCEEDED, ""),
}


@pytest.mark.parametrize(("status", "kind", "message"), OWN.values(), ids=OWN)
def test_what_the_task_did_is_its_own(status: dict[str, Any], kind: Kind, message: str) -> None:
    found = verdict(status)
    assert (found.kind, found.message) == (kind, message)


@pytest.mark.parametrize(
    ("requested", "code", "kind"),
    [
        (5, 143, Kind.LOST),  # deleted, then it ended
        (9, 143, Kind.LOST),
        (12, 143, Kind.LOST),  # by the clock of another machine
        (60, 143, Kind.FAILED),  # it had failed, and was deleted a minute after
        (5, 0, Kind.SUCCEEDED),
    ],
)
def test_a_pod_that_somebody_deletes_is_lost_as_one_that_is_gone(requested: float, code: int, kind: Kind) -> None:
    deletion = {"deletionTimestamp": at(requested + 30), "deletionGracePeriodSeconds": 30}
    assert verdict(ended(code, end=9), **deletion).kind is kind


def test_a_pod_that_is_deleted_before_it_starts_is_lost() -> None:
    """podgc marks it as failed before it goes."""
    deletion = {"deletionTimestamp": at(30), "deletionGracePeriodSeconds": 30}
    assert verdict({"phase": "Failed"}, **deletion).kind is Kind.LOST


def test_out_of_memory_is_its_own_although_the_pod_is_being_deleted() -> None:
    deletion = {"deletionTimestamp": at(35), "deletionGracePeriodSeconds": 30}
    assert verdict(ended(137, "OOMKilled", end=9), **deletion).kind is Kind.OUT_OF_MEMORY


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", None])
def test_a_pod_of_another_phase_has_not_ended(phase: str | None) -> None:
    status = {**ended(1), "phase": phase, "reason": "NodeLost"}
    assert ending(trimmed(pod(**status)), "base") is None


def test_the_output_is_the_container_s_own_among_several() -> None:
    status = ended(0, message='{"a": 1}')
    status["containerStatuses"].insert(0, container("other", terminated={"exitCode": 0, "message": "no"}))
    assert verdict(status).output == '{"a": 1}'


@pytest.mark.parametrize("status", [{"containerStatuses": None, "conditions": None}, {"containerStatuses": []}])
def test_a_status_with_gaps_is_an_ending_too(status: dict[str, Any]) -> None:
    assert verdict({"phase": "Failed", **status}).kind is Kind.NOT_STARTED
    assert verdict({"phase": "Succeeded", **status}).kind is Kind.SUCCEEDED


def test_a_container_that_ended_without_times() -> None:
    status = {"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 1})]}
    assert verdict(status).message == "container 'base' ended with exit code 1"
