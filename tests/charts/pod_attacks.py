"""What who has Airflow's credentials for one team could ask of the API server, and why each is refused.

Each is the usual pod with something changed: name -> the changes, and the words of the refusal.
"""

from __future__ import annotations

from typing import Any

from tests.charts.team_pods import BASE, CONTAINER, LABELS, NEAR_OTHER_TASKS

Object = dict[str, Any]
RESTRICTED = 'violates PodSecurity "restricted:latest"'
MUST_NAME_A_GROUP = "a pod must name its node group in nodeSelector: jobyard.dev/node-group"
NOT_ITS_PRIORITY = "team risk may only use PriorityClasses named risk.*, not "
NOT_ITS_TAINT = "a pod may tolerate only the taints of its node group default, with key, value and effect"
ARCH = {"kubernetes.io/arch": "amd64"}
GROUP = {"jobyard.dev/node-group": "default"}
SECURITY = "spec.containers.0.securityContext"
REQUESTS = {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "4Gi"}
LIMITS = {"memory": "1Gi", "ephemeral-storage": "4Gi"}
DIGEST = "@sha256:" + 64 * "0"


def field(path: str) -> str:
    """Words for a field that no pod of the builder has."""
    return f"a pod may have only the fields that Jobyard sets, not {path}"


def image(address: str) -> tuple[Object, str]:
    words = f"image {address} must come from a registry of this environment: registry.example.com"
    return {f"{BASE}.image": address}, words


def toleration(**fields: object) -> tuple[Object, str]:
    return {"spec.tolerations": [fields]}, NOT_ITS_TAINT


def volume(kind: str, source: Object, words: str = "") -> tuple[Object, str]:
    """The pod's volume as one of another kind."""
    return {"spec.volumes": [{"name": "scratch", kind: source}]}, words or field(f"spec.volumes[].{kind}")


def variable(source: Object, kind: str) -> tuple[Object, str]:
    return {f"{BASE}.env": [{"name": "X", "valueFrom": source}]}, field(f"spec.containers[].env[].valueFrom.{kind}")


def label(key: str, value: str | None) -> Object:
    changed = {**LABELS, key: value}
    return {"metadata.labels": {name: text for name, text in changed.items() if text is not None}}


def token(audience: str, seconds: int = 3600) -> Object:
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": seconds, "path": "token"}}
    return {"sources": [source]}


def affinity(kind: str, term: Object) -> Object:
    return {"spec.affinity": {kind: term}}


def neighbours(changes: Object, words: str = "affinity must be the preference, of weight 100") -> tuple[Object, str]:
    """The machines that the pod prefers, with something changed."""
    return {f"{PREFERENCE}.{path}": value for path, value in changes.items()}, words


EVERYWHERE = {"labelSelector": {}, "namespaceSelector": {}, "topologyKey": "jobyard.dev/node-group"}
ON_GPU = {"matchExpressions": [{"key": "jobyard.dev/node-group", "operator": "In", "values": ["gpu"]}]}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
PREFERENCE = f"spec.affinity.podAffinity.{PREFERRED}.0"
OF_FRAUD = [{"key": "jobyard.dev/team", "operator": "In", "values": ["fraud"]}]
SCRATCH_CLAIM = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}

SHARES: dict[str, tuple[Object, str]] = {
    "keeps-every-pod-off-a-node-group": (
        affinity("podAntiAffinity", {REQUIRED: [EVERYWHERE]}),
        field("spec.affinity.podAntiAffinity"),
    ),
    "only-near-other-teams-pods": (
        affinity("podAffinity", {REQUIRED: [EVERYWHERE]}),
        field(f"spec.affinity.podAffinity.{REQUIRED}"),
    ),
    "near-one-teams-pods": neighbours(
        {"podAffinityTerm.labelSelector.matchExpressions": OF_FRAUD},
        field(f"spec.affinity.podAffinity.{PREFERRED}[].podAffinityTerm.labelSelector.matchExpressions[].values"),
    ),
    "near-pods-of-one-team-by-its-label": neighbours(
        {"podAffinityTerm.labelSelector": {"matchLabels": {"jobyard.dev/team": "fraud"}}},
        field(f"spec.affinity.podAffinity.{PREFERRED}[].podAffinityTerm.labelSelector.matchLabels"),
    ),
    "near-pods-in-one-namespace": neighbours(
        {"podAffinityTerm.namespaces": ["team-fraud"]},
        field(f"spec.affinity.podAffinity.{PREFERRED}[].podAffinityTerm.namespaces"),
    ),
    "near-pods-in-chosen-namespaces": neighbours(
        {"podAffinityTerm.namespaceSelector.matchLabels": {"jobyard.dev/team": "fraud"}},
        field(f"spec.affinity.podAffinity.{PREFERRED}[].podAffinityTerm.namespaceSelector.matchLabels"),
    ),
    "near-all-pods": neighbours({"podAffinityTerm.labelSelector": {}}),
    "near-pods-of-another-label": neighbours(
        {"podAffinityTerm.labelSelector.matchExpressions.0.key": "k8s-app"},
    ),
    "near-pods-without-a-team": neighbours(
        {"podAffinityTerm.labelSelector.matchExpressions.0.operator": "DoesNotExist"},
    ),
    "near-the-teams-own-pods": neighbours({"podAffinityTerm.namespaceSelector": None}),
    "on-another-kind-of-neighbourhood": neighbours({"podAffinityTerm.topologyKey": "topology.kubernetes.io/zone"}),
    "two-preferences": (
        affinity("podAffinity", {PREFERRED: [NEAR_OTHER_TASKS, NEAR_OTHER_TASKS]}),
        "affinity must be the preference, of weight 100",
    ),
    "less-preferred": neighbours({"weight": 1}),
    "an-affinity-of-nothing": ({"spec.affinity": {}}, "affinity must be the preference, of weight 100"),
    "node-group-by-affinity": (
        affinity("nodeAffinity", {REQUIRED: {"nodeSelectorTerms": [ON_GPU]}}),
        field("spec.affinity.nodeAffinity"),
    ),
    "spread-that-never-fits": (
        {
            "spec.topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "x", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
            ]
        },
        field("spec.topologySpreadConstraints"),
    ),
    "no-node-group": ({"spec.nodeSelector": {}}, MUST_NAME_A_GROUP),
    "node-group-not-allowed": (
        {"spec.nodeSelector": {**ARCH, "jobyard.dev/node-group": "gpu"}},
        "team risk may not use node group gpu",
    ),
    "one-node-of-the-group": (
        {"spec.nodeSelector": {**ARCH, **GROUP, "kubernetes.io/hostname": "default-1"}},
        "nodeSelector must be that of node group default; it differs in kubernetes.io/hostname",
    ),
    "any-architecture": (
        {"spec.nodeSelector": GROUP},
        "nodeSelector must be that of node group default; it differs in kubernetes.io/arch",
    ),
    "node-by-name": (
        {"spec.nodeName": "gpu-1"},
        "a pod may not choose its node (nodeName gpu-1): the scheduler does",
    ),
    "another-scheduler": (
        {"spec.schedulerName": "mine"},
        "schedulerName must be default-scheduler, not mine",
    ),
    "waits-at-a-gate": ({"spec.schedulingGates": [{"name": "example.com/never"}]}, field("spec.schedulingGates")),
    "priority-of-another-team": (
        {"spec.priorityClassName": "fraud.normal-2000"},
        NOT_ITS_PRIORITY + "fraud.normal-2000",
    ),
    "priority-of-the-system": (
        {"spec.priorityClassName": "system-node-critical"},
        NOT_ITS_PRIORITY + "system-node-critical",
    ),
    "no-priority-and-so-one-that-preempts": ({"spec.priorityClassName": None}, "a pod must name its PriorityClass"),
}
"""What it takes from the other teams: places and turns."""

TOLERATIONS: dict[str, tuple[Object, str]] = {
    "tolerates-everything": toleration(operator="Exists"),
    "tolerates-every-effect": toleration(key="jobyard.dev/node-group", operator="Exists"),
    "tolerates-every-key": toleration(operator="Exists", effect="NoSchedule"),
    "tolerates-another-group": toleration(key="jobyard.dev/node-group", value="high-cpu", effect="NoSchedule"),
    "tolerates-gpus-on-another-group": toleration(key="nvidia.com/gpu", operator="Exists"),
    "stays-on-a-machine-that-goes": toleration(key="karpenter.sh/disrupted", operator="Exists", effect="NoSchedule"),
    "stays-on-a-machine-that-is-not-ready": toleration(
        key="node.kubernetes.io/not-ready", operator="Exists", effect="NoExecute"
    ),
    "stays-on-a-machine-that-is-gone": toleration(
        key="node.kubernetes.io/unreachable", operator="Exists", effect="NoExecute"
    ),
    "stays-there-for-a-day": toleration(
        key="node.kubernetes.io/unreachable", operator="Exists", effect="NoExecute", tolerationSeconds=86400
    ),
}

TIME: dict[str, tuple[Object, str]] = {
    "no-deadline": (
        {"spec.activeDeadlineSeconds": None},
        "a pod must have activeDeadlineSeconds, at most 604800",
    ),
    "a-deadline-in-ten-years": (
        {"spec.activeDeadlineSeconds": 315360000},
        "a pod must have activeDeadlineSeconds, at most 604800, not 315360000",
    ),
    "may-not-be-disrupted-for-ever": (
        {"spec.activeDeadlineSeconds": None, "metadata.annotations": {"karpenter.sh/do-not-disrupt": "true"}},
        "a pod must have activeDeadlineSeconds",
    ),
    "may-not-be-disrupted-in-other-words": (
        {"metadata.annotations": {"karpenter.sh/do-not-disrupt": "8760h"}},
        "annotation karpenter.sh/do-not-disrupt must be true, not 8760h",
    ),
    "ten-years-to-end": (
        {"spec.terminationGracePeriodSeconds": 315360000},
        "terminationGracePeriodSeconds must be at most 120, not 315360000",
    ),
    "starts-again-and-again": ({"spec.restartPolicy": "Always"}, "restartPolicy must be Never, not Always"),
    "starts-again-after-a-failure": ({"spec.restartPolicy": "OnFailure"}, "restartPolicy must be Never, not OnFailure"),
}

IDENTITY: dict[str, tuple[Object, str]] = {
    "another-teams-label": (
        label("jobyard.dev/team", "fraud"),
        "label jobyard.dev/team must be risk, not fraud",
    ),
    "no-teams-label": (label("jobyard.dev/team", None), "label jobyard.dev/team must be risk, not missing"),
    "another-teams-bill": (
        label("jobyard.dev/cost-center", "fraud"),
        "label jobyard.dev/cost-center must be risk, not fraud",
    ),
    "another-environment": (
        label("jobyard.dev/environment", "dev"),
        "label jobyard.dev/environment must be prod, not dev",
    ),
    "a-label-that-others-select-by": (
        label("app.kubernetes.io/name", "argocd-server"),
        "a pod may have only the labels that Jobyard and Airflow set, not app.kubernetes.io/name",
    ),
    "an-annotation-that-others-read": (
        {"metadata.annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        "a pod may have only the annotations karpenter.sh/do-not-disrupt and kubernetes.io/limit-ranger, not "
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
    ),
    "a-long-annotation": (
        {"metadata.annotations": {"kubernetes.io/limit-ranger": "x" * 1001}},
        "a pod may have only the annotations ",
    ),
    "finalizer": ({"metadata.finalizers": ["example.com/never"]}, field("metadata.finalizers")),
    "owner": (
        {
            "metadata.ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "node-groups", "uid": "9f6f8ad6-0000-4000-8000-0"}
            ]
        },
        field("metadata.ownerReferences"),
    ),
    "name-of-the-servers-choice": ({"metadata.generateName": "mine-"}, field("metadata.generateName")),
    "service-account-of-the-sync-identity": (
        {"spec.serviceAccountName": "risk"},
        'error looking up service account team-risk/risk: serviceaccount "risk" not found',
    ),
    "mounts-a-token": (
        {"spec.automountServiceAccountToken": True},
        "automountServiceAccountToken must be false",
    ),
    "mounts-a-token-by-default": (
        {"spec.automountServiceAccountToken": None},
        "automountServiceAccountToken must be false",
    ),
    "token-for-anybody": volume(
        "projected",
        token("vault.example.com"),
        "a token of a pod must be for sts.amazonaws.com or pods.eks.amazonaws.com, for at most 86400 s, not for "
        "vault.example.com for 3600 s",
    ),
    "token-for-the-api-server": volume(
        "projected",
        {"sources": [{"serviceAccountToken": {"path": "token"}}]},
        "not for the API server for 3600 s",
    ),
    "token-for-a-year": volume(
        "projected", token("sts.amazonaws.com", 31536000), "not for sts.amazonaws.com for 31536000 s"
    ),
    "several-tokens": volume(
        "projected",
        {"sources": [*token("sts.amazonaws.com")["sources"], {"configMap": {"name": "kube-root-ca.crt"}}]},
        "a projected volume has one source, a token",
    ),
    "secret-beside-a-token": volume(
        "projected",
        {"sources": [{"secret": {"name": "database"}}]},
        field("spec.volumes[].projected.sources[].secret"),
    ),
    "pull-secret": ({"spec.imagePullSecrets": [{"name": "others"}]}, field("spec.imagePullSecrets")),
    "every-variable-of-a-secret": (
        {f"{BASE}.envFrom": [{"secretRef": {"name": "any"}}]},
        field("spec.containers[].envFrom"),
    ),
    "variable-of-a-config-map": variable({"configMapKeyRef": {"name": "x", "key": "y"}}, "configMapKeyRef"),
    "variable-of-the-node": variable({"fieldRef": {"fieldPath": "status.hostIP"}}, "fieldRef"),
}
"""Whose it says it is, and what it could be taken for."""

MACHINE: dict[str, tuple[Object, str]] = {
    "node-network": ({"spec.hostNetwork": True}, RESTRICTED),
    "node-processes": ({"spec.hostPID": True}, RESTRICTED),
    "node-messages": ({"spec.hostIPC": True}, RESTRICTED),
    "root": ({"spec.securityContext": {}}, RESTRICTED),
    "root-by-number": ({f"{SECURITY}.runAsUser": 0}, RESTRICTED),
    "privileged": ({f"{SECURITY}.privileged": True, f"{SECURITY}.allowPrivilegeEscalation": True}, RESTRICTED),
    "setuid": ({f"{SECURITY}.allowPrivilegeEscalation": True}, RESTRICTED),
    "added-capability": ({f"{SECURITY}.capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}, RESTRICTED),
    "capability-that-pod-security-allows": (
        {f"{SECURITY}.capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
        field("spec.containers[].securityContext.capabilities.add"),
    ),
    "group-of-the-disk": (
        {"spec.securityContext.supplementalGroups": [6]},
        field("spec.securityContext.supplementalGroups"),
    ),
    "node-port": ({f"{BASE}.ports": [{"containerPort": 80, "hostPort": 80}]}, RESTRICTED),
    "node-files": volume("hostPath", {"path": "/"}, RESTRICTED),
    "hosts-of-its-own": (
        {"spec.hostAliases": [{"ip": "10.0.0.1", "hostnames": ["s3.amazonaws.com"]}]},
        field("spec.hostAliases"),
    ),
    "name-servers-of-its-own": (
        {"spec.dnsPolicy": "None", "spec.dnsConfig": {"nameservers": ["10.0.0.1"]}},
        field("spec.dnsConfig"),
    ),
    "name-servers-of-the-node": ({"spec.dnsPolicy": "Default"}, "dnsPolicy must be ClusterFirst, not Default"),
    "process-namespace": ({"spec.shareProcessNamespace": True}, field("spec.shareProcessNamespace")),
    "runtime-class": ({"spec.runtimeClassName": "mine"}, 'RuntimeClass "mine" not found'),
    "resource-claim": ({"spec.resourceClaims": [{"name": "gpu", "resourceClaimName": "any"}]}, "resourceClaims"),
    "csi-volume": volume("csi", {"driver": "efs.csi.aws.com"}),
    "ephemeral-volume": volume("ephemeral", {"volumeClaimTemplate": SCRATCH_CLAIM}),
    "volume-of-a-claim": volume("persistentVolumeClaim", {"claimName": "any"}),
    "volume-of-a-secret": volume("secret", {"secretName": "any"}),
    "privileged-init": (
        {"spec.initContainers": [{**CONTAINER, "name": "first", "securityContext": {"privileged": True}}]},
        RESTRICTED,
    ),
    "init-container": ({"spec.initContainers": [{**CONTAINER, "name": "first"}]}, field("spec.initContainers")),
    "fifty-containers": (
        {"spec.containers": [CONTAINER, *({**CONTAINER, "name": f"more-{number}"} for number in range(49))]},
        "a pod has one container, base, not base, more-0",
    ),
    "another-container": ({f"{BASE}.name": "mine"}, "a pod has one container, base, not mine"),
}
"""What it could be on the machine."""

RESOURCES: dict[str, tuple[Object, str]] = {
    "requests-nothing-and-may-have-a-terabyte": (
        {
            f"{BASE}.resources.requests": {**REQUESTS, "cpu": "0", "memory": "0"},
            f"{BASE}.resources.limits.memory": "1Ti",
        },
        "minimum memory usage per Container is 32Mi, but request is 0",
    ),
    "may-have-much-more-than-it-requests": (
        {f"{BASE}.resources.requests.memory": "32Mi", f"{BASE}.resources.limits.memory": "26Gi"},
        "memory max limit to request ratio per Container is 2",
    ),
    "no-cpu": (
        {f"{BASE}.resources.requests.cpu": "0"},
        "minimum cpu usage per Container is 10m, but request is 0",
    ),
    "may-have-more-disk-than-it-requests": (
        {f"{BASE}.resources.limits.ephemeral-storage": "5Gi"},
        "ephemeral-storage max limit to request ratio per Container is 1",
    ),
    "huge-pages": (
        {
            f"{BASE}.resources": {
                "requests": {**REQUESTS, "hugepages-2Mi": "2Mi"},
                "limits": {**LIMITS, "hugepages-2Mi": "2Mi"},
            }
        },
        field("spec.containers[].resources.requests.hugepages-2Mi"),
    ),
    "memory-as-a-disk": volume(
        "emptyDir", {"medium": "Memory", "sizeLimit": "1Gi"}, field("spec.volumes[].emptyDir.medium")
    ),
    "memory-as-a-disk-without-a-limit": volume(
        "emptyDir", {"medium": "Memory"}, field("spec.volumes[].emptyDir.medium")
    ),
    "scratch-without-a-limit": volume("emptyDir", {}, "an emptyDir must have a sizeLimit"),
    "more-than-the-quota": ({f"{BASE}.resources.requests.cpu": "5"}, "exceeded quota: team, requested: requests.cpu=5"),
    "limits-above-the-quota": (
        {f"{BASE}.resources.requests.memory": "5Gi", f"{BASE}.resources.limits.memory": "9Gi"},
        "exceeded quota: team, requested: limits.memory=9Gi",
    ),
    "more-disk-than-the-quota": (
        {f"{BASE}.resources.{kind}.ephemeral-storage": "11Gi" for kind in ("requests", "limits")},
        "exceeded quota: team, requested: limits.ephemeral-storage=11Gi,requests.ephemeral-storage=11Gi",
    ),
    "gpu-without-a-quota-of-them": (
        {
            f"{BASE}.resources": {
                "requests": {**REQUESTS, "nvidia.com/gpu": "1"},
                "limits": {**LIMITS, "nvidia.com/gpu": "1"},
            }
        },
        "exceeded quota: gpu, requested: requests.nvidia.com/gpu=1",
    ),
    "a-megabyte-of-arguments": (
        {f"{BASE}.args": ["x" * 300_000]},
        "command, arguments and variables of a pod may have at most 262,144 characters together",
    ),
    "more-variables-than-anybody-has": (
        {f"{BASE}.env": [{"name": f"X{number}", "value": ""} for number in range(1001)]},
        "a pod has at most 1,000 variables",
    ),
}

IMAGES: dict[str, tuple[Object, str]] = {
    "image-of-docker-hub": image("python:3"),
    "image-of-docker-hub-in-full": image("docker.io/library/python:3"),
    "image-of-a-host-that-begins-alike": image("registry.example.com.evil.com/risk/inference" + DIGEST),
    "image-of-another-port": image("registry.example.com:5000/risk/inference" + DIGEST),
    "image-that-is-the-registry": image("registry.example.com" + DIGEST),
    "image-with-the-registry-as-a-folder": image("evil.com/registry.example.com/risk/inference" + DIGEST),
    "image-of-the-node": (
        {f"{BASE}.imagePullPolicy": "Never"},
        "imagePullPolicy must be Always or IfNotPresent, not Never",
    ),
    "output-elsewhere": (
        {f"{BASE}.terminationMessagePath": "/etc/passwd"},
        "terminationMessagePath must be /airflow/xcom/return.json with the policy File, not /etc/passwd with File",
    ),
}

CREATED = {**SHARES, **TOLERATIONS, **TIME, **IDENTITY, **MACHINE, **RESOURCES, **IMAGES}
"""All that can be asked when a pod is made."""

CHANGED: dict[str, tuple[list[Object], str]] = {
    "tolerates-everything": (
        [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}],
        NOT_ITS_TAINT,
    ),
    "finalizer": (
        [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/never"]}],
        field("metadata.finalizers"),
    ),
    "owner": (
        [
            {
                "op": "add",
                "path": "/metadata/ownerReferences",
                "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "9f6f8ad6-0000-4000-8000-0"}],
            }
        ],
        field("metadata.ownerReferences"),
    ),
    "another-teams-label": (
        [{"op": "replace", "path": "/metadata/labels/jobyard.dev~1team", "value": "fraud"}],
        "label jobyard.dev/team must be risk, not fraud",
    ),
    "another-label": (
        [{"op": "add", "path": "/metadata/labels/mine", "value": "x"}],
        "a pod may have only the labels that Jobyard and Airflow set, not mine",
    ),
    "another-annotation": (
        [{"op": "add", "path": "/metadata/annotations/mine", "value": "x"}],
        "a pod may have only the annotations ",
    ),
    "another-image": (
        [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil.com/mine:1"}],
        "image evil.com/mine:1 must come from a registry of this environment",
    ),
}
"""What the API server would let somebody change of a pod that is there."""
