"""What a team could write into the fields of an object that it may have, and why each is refused.

`attacks.py` has kinds, namespaces, roles and values; here is what would make such an object large, lasting or somebody
else's: fields that the chart does not use, finalizers, owners, labels, annotations, names, sizes.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.charts.attacks import (
    LAUNCHERS,
    OTHER,
    OWN,
    TEAM,
    Attack,
    Object,
    binding,
    group,
    in_namespace,
    priority_class,
    service_account,
)

NAMESPACE = f"team-{TEAM}"
FINALIZER = "example.com/forever"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "node-groups", "uid": "0123"}
LABELS = ", ".join(
    [
        "app.kubernetes.io/component",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/name",
        "app.kubernetes.io/part-of",
        "app.kubernetes.io/version",
        "helm.sh/chart",
        "jobyard.dev/team",
    ]
)
TRACKING = "argocd.argoproj.io/tracking-id"
ROLE_ARN = "eks.amazonaws.com/role-arn"
NAME_RULE = "of a team is lower-case letters, digits and -, at most 63 and a letter first, not "


def config_map(name: str = "mine", **fields: object) -> Object:
    return {**in_namespace("ConfigMap", NAMESPACE, name=name, data={"key": "value"}), **fields}


def account(name: str = "mine", **fields: object) -> Object:
    return {**in_namespace("ServiceAccount", NAMESPACE, name=name, automountServiceAccountToken=False), **fields}


def launchers(name: str = "mine") -> Object:
    return with_metadata(binding("jobyard-launcher"), name=name)


def own_class(level: str) -> Object:
    """A PriorityClass with fields that the team may have."""
    return priority_class(f"{TEAM}.{level}-5000")


def with_metadata(target: Object, **metadata: object) -> Object:
    return {**target, "metadata": {**target["metadata"], **metadata}}


def label_rule(name: str) -> str:
    return f"may only change and delete what has the label jobyard.dev/team: {TEAM}, not {name}"


KINDS: dict[str, Callable[[str], Object]] = {
    "PriorityClass": own_class,
    "ConfigMap": config_map,
    "ServiceAccount": account,
    "RoleBinding": launchers,
}
"""Every kind that a sync identity may make -> one of a name of which only the name may be wrong."""


def of_any_kind(kind: str) -> list[Attack]:
    """What no kind may have."""
    annotations = f"{TRACKING}, {ROLE_ARN}" if kind == "ServiceAccount" else TRACKING
    changes: list[tuple[str, Object, str]] = [
        ("finalizer", {"finalizers": [FINALIZER]}, f"may have no finalizer, not {FINALIZER}"),
        ("owner", {"ownerReferences": [OWNER]}, "may have no owner, not ConfigMap node-groups"),
        ("no-label", {"labels": {}}, f"must have the label jobyard.dev/team: {TEAM}"),
        ("others-label", {"labels": {"jobyard.dev/team": OTHER}}, f"must have the label jobyard.dev/team: {TEAM}"),
        (
            "label-that-others-read",
            {"labels": {**OWN, "grafana_dashboard": "1"}},
            f"may have labels {LABELS}, not grafana_dashboard",
        ),
        (
            "kept-when-pruned",
            {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}},
            f"may have annotations {annotations}, not argocd.argoproj.io/sync-options",
        ),
        (
            "kept-as-helm-keeps",
            {"annotations": {"helm.sh/resource-policy": "keep"}},
            f"may have annotations {annotations}, not helm.sh/resource-policy",
        ),
    ]
    return [
        Attack(
            f"{kind.lower()}-{what}",
            with_metadata(KINDS[kind](f"{kind.lower()}-{what}"), **change),
            f"of a team {rule}",
        )
        for what, change, rule in changes
    ]


def accounts() -> list[Attack]:
    """What a service account may not have."""
    annotations = f"may have annotations {TRACKING}, {ROLE_ARN}, not eks.amazonaws.com/"
    token = "of a team must have automountServiceAccountToken: false"
    without = {key: value for key, value in account().items() if key != "automountServiceAccountToken"}
    may = "may have apiVersion, kind, metadata, automountServiceAccountToken, not "
    hints = ("audience", "token-expiration", "sts-regional-endpoints", "skip-containers")
    with_role = service_account(f"arn:aws:iam::111122223333:role/{TEAM}-jobs")
    return [
        Attack("serviceaccount-mounts-a-token", account(automountServiceAccountToken=True), token),
        Attack("serviceaccount-mounts-by-default", without, token),
        Attack("serviceaccount-pull-secret", account(imagePullSecrets=[{"name": "any"}]), may + "imagePullSecrets"),
        Attack("serviceaccount-secret", account(secrets=[{"name": "any"}]), may + "secrets"),
        *(
            Attack(
                f"serviceaccount-{hint}",
                with_metadata(with_role, annotations={f"eks.amazonaws.com/{hint}": "other"}),
                annotations + hint,
            )
            for hint in hints
        ),
        Attack("serviceaccount-of-the-cluster", account("default"), label_rule("ServiceAccount default")),
    ]


def config_maps() -> list[Attack]:
    """What a ConfigMap may not have."""
    may = "may have apiVersion, kind, metadata, data, not "
    return [
        Attack("root-certificate", config_map("kube-root-ca.crt"), label_rule("ConfigMap kube-root-ca.crt")),
        Attack("configmap-with-a-dot", config_map("other-ca.crt"), f"ConfigMap {NAME_RULE}other-ca.crt"),
        Attack("configmap-binary", config_map(binaryData={"other": "AAAA"}), may + "binaryData"),
        Attack("configmap-immutable", config_map(immutable=True), may + "immutable"),
        Attack(
            "configmap-too-large",
            config_map(data={"key": 16384 * "é"}),
            "of a team may have 32768 bytes of data, not 32771",
        ),
    ]


def others() -> list[Attack]:
    """What a RoleBinding or a PriorityClass may not have."""
    groups = [group(f"jobyard:{TEAM}:{number}") for number in range(21)]
    long_name = f"jobyard:{TEAM}:{241 * 'x'}"
    viewers = binding("jobyard-viewer")
    return [
        Attack("binding-many", {**viewers, "subjects": groups}, "of a team may have 20 subjects, not 21"),
        Attack(
            "binding-a-long-name",
            {**viewers, "subjects": [group(long_name)]},
            f"the name of a group may have 253 characters, not {len(long_name)}",
        ),
        Attack("binding-with-a-dot", launchers("launcher.mine"), f"RoleBinding {NAME_RULE}launcher.mine"),
        Attack(
            "binding-in-a-namespace",
            {**viewers, "subjects": [{**LAUNCHERS, "namespace": "x"}]},
            "a group is in no namespace",
        ),
        Attack(
            "priority-with-a-long-text",
            {**own_class("text"), "description": 257 * "x"},
            f"PriorityClass {TEAM}.text-5000 of a team may have a description of 256 characters, not 257",
        ),
    ]


BY_FIELD = [
    *(attack for kind in KINDS for attack in of_any_kind(kind)),
    *accounts(),
    *config_maps(),
    *others(),
]
"""Every such attack; each object is otherwise one that the team may have."""
