"""What a team could ask to get past its queue, where pods wait in Kueue's queues, and why each is refused."""

from __future__ import annotations

from typing import Any

from tests.charts import pod_attacks
from tests.charts.attacks import TEAM, Attack, forbidden, in_namespace, in_no_namespace
from tests.charts.team_pods import BASE, CONTAINER, LABELS, USUAL, changed

Object = dict[str, Any]
KUEUE = "kueue.x-k8s.io"
API = f"{KUEUE}/v1beta2"
KUEUE_USER = "system:serviceaccount:kueue-system:kueue-controller-manager"
ADMISSION, TOPOLOGY = {"name": f"{KUEUE}/admission"}, {"name": f"{KUEUE}/topology"}
QUEUE_LABELS = {f"{KUEUE}/queue-name": "jobs", f"{KUEUE}/managed": "true"}
ANNOTATIONS = {"karpenter.sh/do-not-disrupt": "true", f"{KUEUE}/role-hash": "0a1b2c3d"}
ADMITTED = {
    f"{KUEUE}/podset": "main",
    f"{KUEUE}/cluster-queue-name": f"team-{TEAM}",
    f"{KUEUE}/local-queue-name": "jobs",
}
"""Labels that Kueue's controller gives a pod that may start."""
QUEUED: Object = {
    "metadata.labels": {**LABELS, **QUEUE_LABELS},
    "metadata.annotations": ANNOTATIONS,
    "metadata.finalizers": [f"{KUEUE}/managed"],
    "spec.schedulingGates": [ADMISSION, TOPOLOGY],
}
"""What Kueue's webhook makes of a pod with the label of its queue: the changes."""
WAITING = changed(QUEUED)
NOT_ITS_QUEUE = f"a pod must have the label {KUEUE}/queue-name: jobs, not "
NO_GATE = (
    f"a pod must wait for its team's quota at the scheduling gate {KUEUE}/admission; Kueue's webhook has not put it"
)
NOT_ITS_LABEL = "a pod may have only the labels that Jobyard and Airflow set, not "
NOT_CHANGED = f"the labels {KUEUE}/queue-name and {KUEUE}/managed of a pod that is there may not be changed"


def label(key: str, value: str | None, words: str = "") -> tuple[Object, str]:
    """The waiting pod with one label of Kueue's changed, or without it."""
    labels = {**LABELS, **QUEUE_LABELS, f"{KUEUE}/{key}": value}
    kept = {name: text for name, text in labels.items() if text is not None}
    return {"metadata.labels": kept}, words or f"{NOT_ITS_LABEL}{KUEUE}/{key}"


def annotation(key: str, value: str, words: str = "") -> tuple[Object, str]:
    """The waiting pod with one more annotation of Kueue's."""
    return {"metadata.annotations": {**ANNOTATIONS, f"{KUEUE}/{key}": value}}, words or f", not {KUEUE}/{key}"


def gates(*some: Object) -> Object:
    return {"spec.schedulingGates": list(some) or None}


QUEUE: dict[str, tuple[Object, str]] = {
    "no-queue": label("queue-name", None, NOT_ITS_QUEUE + "missing"),
    "another-teams-queue": label("queue-name", "team-fraud", NOT_ITS_QUEUE + "team-fraud"),
    "queue-of-kueues-own-choice": label("queue-name", "default", NOT_ITS_QUEUE + "default"),
    "no-gate": (gates(), NO_GATE),
    "another-of-kueues-gates-alone": (gates(TOPOLOGY), NO_GATE),
    "a-gate-of-its-own": (
        gates(ADMISSION, {"name": "example.com/never"}),
        "a pod may wait only at the scheduling gates of Kueue, not at example.com/never",
    ),
    "not-managed": label("managed", None, NO_GATE),
    "managed-by-nobody": label("managed", "false", NO_GATE),
    "no-finalizer": ({"metadata.finalizers": None}, NO_GATE),
    "finalizer-of-its-own": (
        {"metadata.finalizers": [f"{KUEUE}/managed", "example.com/never"]},
        "a pod may have only the finalizer kueue.x-k8s.io/managed, not example.com/never",
    ),
    "part-of-a-pod-that-waits": (
        {"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "first", "uid": "9f6f8ad6-0000"}]},
        pod_attacks.field("metadata.ownerReferences"),
    ),
}
"""What would have it start without quota, or on somebody else's."""

WORDS_TO_KUEUE: dict[str, tuple[Object, str]] = {
    "group-of-pods": label("pod-group-name", "mine"),
    "group-of-pods-by-annotation": annotation("pod-group-name", "mine"),
    "size-of-a-group-of-pods": annotation("pod-group-total-count", "1000"),
    "group-of-pods-that-is-admitted-whole": annotation("pod-group-fast-admission", "true"),
    "priority-of-kueues-own": label("priority-class", "urgent"),
    "workload-of-its-own": label("prebuilt-workload-name", "mine"),
    "workload-of-its-own-by-annotation": annotation("prebuilt-workload-name", "mine"),
    "longest-time-of-its-own": label("max-exec-time-seconds", "1"),
    "waits-for-a-parent-that-is-not-there": annotation("pod-suspending-parent", "none"),
    "waits-for-a-controller-of-its-own": annotation("admission-gated-by", "example.com/never"),
    "topology-of-its-own": annotation("podset-required-topology", "kubernetes.io/hostname"),
    "says-whose-workload-it-is": annotation(
        "workload", "pod-other", f"only Kueue writes annotation {KUEUE}/workload, not airflow-risk"
    ),
    "says-what-role-it-has": annotation(
        "role-hash", "other", f"annotation {KUEUE}/role-hash must be 8 hexadecimal digits, not other"
    ),
    "says-who-admitted-it": label(
        "cluster-queue-name", "team-fraud", f"label {KUEUE}/cluster-queue-name must be team-risk, not team-fraud"
    ),
    "says-what-queue-admitted-it": label(
        "local-queue-name", "others", f"label {KUEUE}/local-queue-name must be jobs, not others"
    ),
    "says-what-part-it-is": label("podset", "second", f"label {KUEUE}/podset must be main, not second"),
}
"""What Kueue would read of a pod."""

OTHERWISE = ("waits-at-a-gate", "finalizer", "an-annotation-that-others-read", "node-by-name")
"""Tries that are refused with other words where there are queues; those above are the same ones."""
CREATED = {
    **QUEUE,
    **WORDS_TO_KUEUE,
    "node-by-name": ({"spec.nodeName": "gpu-1"}, "cannot be set until all schedulingGates have been cleared"),
    "an-annotation-that-others-read": (
        {"metadata.annotations": {**ANNOTATIONS, "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        ", not cluster-autoscaler.kubernetes.io/safe-to-evict",
    ),
}


def _of_all() -> dict[str, tuple[Object, str]]:
    """The tries that are refused without queues too, with the labels that a pod in a queue has besides."""
    tries = {}
    for name, (changes, words) in pod_attacks.CREATED.items():
        if name in OTHERWISE or words.startswith("exceeded quota"):
            continue
        labels = changes.get("metadata.labels")
        if labels is None:
            tries[name] = changes, words
        else:
            tries[name] = {**changes, "metadata.labels": {**labels, **QUEUE_LABELS}}, words
    return tries


CREATED_AS_WITHOUT = _of_all()

OVER_THE_QUOTA: dict[str, Object] = {
    "more-cores": {f"{BASE}.resources.requests.cpu": "5"},
    "higher-limits": {f"{BASE}.resources.requests.memory": "5Gi", f"{BASE}.resources.limits.memory": "9Gi"},
    "more-disk": {f"{BASE}.resources.{kind}.ephemeral-storage": "11Gi" for kind in ("requests", "limits")},
}
"""What the API server refuses without queues, and what waits in one."""


def patch(op: str, path: str, value: object = None) -> list[Object]:
    return [{"op": op, "path": path, "value": value}] if op != "remove" else [{"op": op, "path": path}]


def path_of(key: str, kind: str = "labels") -> str:
    return f"/metadata/{kind}/{KUEUE}~1{key}"


CHANGED: dict[str, tuple[list[Object], str]] = {
    "gate-taken-away": (
        patch("remove", "/spec/schedulingGates/0"),
        f"only Kueue lets a pod start: admin may not take away the scheduling gate {KUEUE}/admission",
    ),
    "both-gates-taken-away": (
        patch("remove", "/spec/schedulingGates"),
        f"only Kueue lets a pod start: admin may not take away the scheduling gate {KUEUE}/admission",
    ),
    "queue-taken-away": (patch("remove", path_of("queue-name")), NOT_CHANGED),
    "another-queue": (patch("replace", path_of("queue-name"), "team-fraud"), NOT_CHANGED),
    "no-more-managed": (patch("remove", path_of("managed")), NOT_CHANGED),
    "priority-of-kueues-own": (
        patch("add", path_of("priority-class"), "urgent"),
        f"{NOT_ITS_LABEL}{KUEUE}/priority-class",
    ),
    "group-of-pods": (patch("add", path_of("pod-group-name"), "mine"), f"{NOT_ITS_LABEL}{KUEUE}/pod-group-name"),
    "another-workload": (
        patch("add", path_of("workload", "annotations"), "pod-other"),
        f"only Kueue writes annotation {KUEUE}/workload, not admin",
    ),
    "a-finalizer": (
        patch("add", "/metadata/finalizers/-", "example.com/never"),
        "a pod may have only the finalizer kueue.x-k8s.io/managed, not example.com/never",
    ),
    "another-node-group": (
        patch("add", "/spec/nodeSelector/kubernetes.io~1hostname", "default-1"),
        "nodeSelector must be that of node group default; it differs in kubernetes.io/hostname",
    ),
}
"""What somebody could change of a pod that waits, who may change pods at all."""

STARTED: list[Object] = [
    *patch("remove", "/spec/schedulingGates"),
    *(operation for key, value in ADMITTED.items() for operation in patch("add", path_of(key.split("/")[1]), value)),
    *patch("add", path_of("workload", "annotations"), "pod-mine-0a1b2"),
]
"""What Kueue's controller changes of a pod that may start."""

FLAVORS = [{"name": "default", "resources": [{"name": "cpu", "nominalQuota": "999"}]}]
QUOTA: Object = {
    "cohortName": "jobyard",
    "namespaceSelector": {},
    "resourceGroups": [{"coveredResources": ["cpu"], "flavors": FLAVORS}],
}
POD_SETS = [{"name": "main", "count": 1, "template": {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}}]
KINDS: list[Attack] = [
    forbidden(
        "workload",
        in_namespace("Workload", f"team-{TEAM}", API, spec={"queueName": "jobs", "podSets": POD_SETS}),
        "workloads",
    ),
    forbidden(
        "queue-to-another-teams-quota",
        in_namespace("LocalQueue", f"team-{TEAM}", API, spec={"clusterQueue": "team-fraud"}),
        "localqueues",
    ),
    forbidden("quota-of-its-own", in_no_namespace("ClusterQueue", API, spec=QUOTA), "clusterqueues"),
    forbidden("its-quota-raised", in_no_namespace("ClusterQueue", API, f"team-{TEAM}", spec=QUOTA), "clusterqueues"),
    forbidden(
        "its-queue-stopped",
        in_namespace("LocalQueue", f"team-{TEAM}", API, "jobs", spec={"stopPolicy": "HoldAndDrain"}),
        "localqueues",
    ),
    forbidden(
        "priority-of-kueues-own",
        in_no_namespace("WorkloadPriorityClass", API, value=1_000_000),
        "workloadpriorityclasses",
    ),
    forbidden(
        "check-of-its-own",
        in_no_namespace("AdmissionCheck", API, spec={"controllerName": "example.com/never"}),
        "admissionchecks",
    ),
    forbidden(
        "node-group-elsewhere",
        in_no_namespace("ResourceFlavor", API, "default", spec={"nodeLabels": {"jobyard.dev/node-group": "gpu"}}),
        "resourceflavors",
    ),
    forbidden("cohort", in_no_namespace("Cohort", API, "jobyard", spec={}), "cohorts"),
]
"""Kinds of Kueue's that nobody of a team may make or change."""

OLD = changed({"metadata.name": "old"}, USUAL)
"""A pod of before the environment had queues."""
