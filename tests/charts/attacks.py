"""What a team could put into its copy of charts/team to get more than the platform gave it, and why each is refused.

Two suites make these tries: `test_bounds.py` asks the API server as the team's sync identity does, and
`tests/end_to_end/test_tenancy.py` has Argo CD sync them from the team's repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
TEAM, OTHER = "risk", "fraud"
OWN = {"jobyard.dev/team": TEAM}
"""Labels that everything in the team's chart has."""
RBAC = "rbac.authorization.k8s.io/v1"
RBAC_GROUP = "rbac.authorization.k8s.io"
ARGOCD = "argoproj.io/v1alpha1"
ANYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
LAUNCHERS = {"apiGroup": RBAC_GROUP, "kind": "Group", "name": f"jobyard:{TEAM}:launchers"}
TOO_MANY_RIGHTS = "is attempting to grant RBAC permissions not currently held"
NOT_ITS_NAME = f"team {TEAM} may only have PriorityClasses named {TEAM}.*, not "
NOT_PERMITTED_CLASS = f"resource scheduling.k8s.io:PriorityClass is not permitted in project team-{TEAM}"
NOT_ITS_ROLE = f"team {TEAM} may only bind ClusterRoles jobyard-launcher and jobyard-viewer, not "
NOT_ITS_GROUP = f"team {TEAM} may only bind groups jobyard:{TEAM}:* and those that the platform gave it, not "
NOT_ITS_IAM_ROLE = f"team {TEAM} may not use IAM role "
ROOT_POD: Object = {"containers": [{"name": "main", "image": "any", "securityContext": {"privileged": True}}]}


@dataclass(frozen=True)
class Attack:
    """An object, and the words of the refusal: the API server's, and Argo CD's where its project refuses first."""

    name: str
    target: Object
    reason: str
    by_project: str = ""

    @property
    def object(self) -> Object:
        """The object under a name that no other attack has, unless it is the name that matters."""
        metadata = self.target["metadata"]
        name = f"attack-{self.name}" if metadata["name"] == "mine" else metadata["name"]
        return {**self.target, "metadata": {**metadata, "name": name}}


def priority_class(name: str, **fields: object) -> Object:
    """A PriorityClass that the team may have if its name is right, with some fields changed."""
    metadata = {"name": name, "labels": OWN}
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata}
    return {**kind, "value": 5000, "preemptionPolicy": "Never", "globalDefault": False, **fields}


def in_namespace(kind: str, namespace: str, api: str = "v1", name: str = "mine", **fields: object) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": OWN}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def in_no_namespace(kind: str, api: str = "v1", name: str = "mine", **fields: object) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **fields}


def binding(
    role: str, subject: Object = LAUNCHERS, namespace: str = f"team-{TEAM}", kind: str = "ClusterRole"
) -> Object:
    """A RoleBinding of a role to somebody."""
    reference = {"apiGroup": RBAC_GROUP, "kind": kind, "name": role}
    return in_namespace("RoleBinding", namespace, RBAC, roleRef=reference, subjects=[subject])


def group(name: str) -> Object:
    return {"apiGroup": RBAC_GROUP, "kind": "Group", "name": name}


def account(name: str, namespace: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def service_account(role: str) -> Object:
    """A ServiceAccount of the team's with an IAM role."""
    metadata = {
        "name": "mine",
        "namespace": f"team-{TEAM}",
        "labels": OWN,
        "annotations": {"eks.amazonaws.com/role-arn": role},
    }
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}


def cannot(verb: str, resource: str, group: str = "") -> str:
    """What RBAC answers. Server-side apply is a patch, also of what is not there yet."""
    return f'cannot {verb} resource "{resource}" in API group "{group}"'


def elsewhere(name: str, kind: str, resource: str, namespace: str) -> Attack:
    """An object of a kind that the team may have, in a namespace that is not its own."""
    words = f"namespace {namespace} is not permitted in project 'team-{TEAM}'"
    return Attack(name, in_namespace(kind, namespace), cannot("patch", resource), words)


def forbidden(name: str, target: Object, resource: str) -> Attack:
    """An object of a kind that the team may not have at all."""
    api, kind = target["apiVersion"], target["kind"]
    group_name = api.partition("/")[0] if "/" in api else ""
    words = f"resource {group_name}:{kind} is not permitted in project team-{TEAM}"
    return Attack(name, target, cannot("patch", resource, group_name), words)


def not_given(name: str) -> str:
    """How the answer ends where a PriorityClass is not one of those that the platform gave the team."""
    return f", not {name} (priorities in the file values/teams/{TEAM}.yaml of the platform)"


CLUSTER_ADMIN = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "cluster-admin"}
WEBHOOKS = [
    {
        "name": "mine.example.com",
        "clientConfig": {"url": "https://example.com"},
        "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
]
CRD_SPEC: Object = {
    "group": "example.com",
    "names": {"kind": "Mine", "plural": "mines"},
    "scope": "Namespaced",
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
}

KINDS = [
    forbidden(
        "cluster-admin-for-its-launchers",
        in_no_namespace("ClusterRoleBinding", RBAC, roleRef=CLUSTER_ADMIN, subjects=[LAUNCHERS]),
        "clusterrolebindings",
    ),
    forbidden("clusterrole", in_no_namespace("ClusterRole", RBAC, rules=ANYTHING), "clusterroles"),
    forbidden("role-with-wildcards", in_namespace("Role", f"team-{TEAM}", RBAC, rules=ANYTHING), "roles"),
    forbidden(
        "role-that-reads-secrets",
        in_namespace(
            "Role",
            f"team-{TEAM}",
            RBAC,
            name="secrets",
            rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
        ),
        "roles",
    ),
    forbidden(
        "launcher-role-widened",
        in_no_namespace("ClusterRole", RBAC, name="jobyard-launcher", rules=ANYTHING),
        "clusterroles",
    ),
    forbidden("namespace-with-its-prefix", in_no_namespace("Namespace", name=f"team-{TEAM}-2"), "namespaces"),
    forbidden("namespace-with-anothers-prefix", in_no_namespace("Namespace", name=f"team-{OTHER}-2"), "namespaces"),
    forbidden(
        "pod-security-switched-off",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": f"team-{TEAM}",
                "labels": {"jobyard.dev/team": TEAM, "pod-security.kubernetes.io/enforce": "privileged"},
            },
        },
        "namespaces",
    ),
    forbidden(
        "quota-raised",
        in_namespace("ResourceQuota", f"team-{TEAM}", name="team", spec={"hard": {"pods": "999"}}),
        "resourcequotas",
    ),
    forbidden(
        "limits-raised",
        in_namespace("LimitRange", f"team-{TEAM}", name="containers", spec={"limits": []}),
        "limitranges",
    ),
    forbidden(
        "network-opened",
        in_namespace(
            "NetworkPolicy",
            f"team-{TEAM}",
            "networking.k8s.io/v1",
            spec={"podSelector": {}, "ingress": [{}], "egress": [{}]},
        ),
        "networkpolicies",
    ),
    forbidden("pod", in_namespace("Pod", f"team-{TEAM}", spec=ROOT_POD), "pods"),
    forbidden(
        "daemonset",
        in_namespace(
            "DaemonSet",
            f"team-{TEAM}",
            "apps/v1",
            spec={
                "selector": {"matchLabels": {"app": "mine"}},
                "template": {"metadata": {"labels": {"app": "mine"}}, "spec": ROOT_POD},
            },
        ),
        "daemonsets",
    ),
    forbidden(
        "hook-job-as-the-sync-identity",
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": "mine",
                "namespace": f"team-{TEAM}",
                "annotations": {"argocd.argoproj.io/hook": "PreSync"},
            },
            "spec": {"template": {"spec": {**ROOT_POD, "serviceAccountName": TEAM, "restartPolicy": "Never"}}},
        },
        "jobs",
    ),
    forbidden("secret", in_namespace("Secret", f"team-{TEAM}"), "secrets"),
    forbidden(
        "token-of-its-sync-identity",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": "token",
                "namespace": f"team-{TEAM}",
                "annotations": {"kubernetes.io/service-account.name": TEAM},
            },
        },
        "secrets",
    ),
    forbidden(
        "crd",
        in_no_namespace("CustomResourceDefinition", "apiextensions.k8s.io/v1", "mines.example.com", spec=CRD_SPEC),
        "customresourcedefinitions",
    ),
    forbidden(
        "mutating-webhook",
        in_no_namespace("MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1", webhooks=WEBHOOKS),
        "mutatingwebhookconfigurations",
    ),
    forbidden(
        "validating-webhook",
        in_no_namespace("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1", webhooks=WEBHOOKS),
        "validatingwebhookconfigurations",
    ),
    forbidden(
        "admission-policy-unbound",
        in_no_namespace(
            "ValidatingAdmissionPolicyBinding",
            "admissionregistration.k8s.io/v1",
            "jobyard-pods",
            spec={"policyName": "nothing", "validationActions": ["Audit"]},
        ),
        "validatingadmissionpolicybindings",
    ),
    forbidden(
        "application-in-argocds-namespace",
        in_namespace(
            "Application",
            "argocd",
            ARGOCD,
            spec={
                "project": "platform",
                "source": {"repoURL": "https://git.example.com/mine.git", "path": "."},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "kube-system"},
            },
        ),
        "applications",
    ),
    forbidden(
        "project-of-its-own",
        in_namespace("AppProject", "argocd", ARGOCD, spec={"sourceRepos": ["*"]}),
        "appprojects",
    ),
    forbidden(
        "project-widened",
        in_namespace("AppProject", "argocd", ARGOCD, f"team-{TEAM}", spec={"sourceRepos": ["*"]}),
        "appprojects",
    ),
]
"""Kinds that no team's chart may have."""

NAMESPACES = [
    elsewhere("configmap-in-kube-system", "ConfigMap", "configmaps", "kube-system"),
    elsewhere("configmap-in-argocd", "ConfigMap", "configmaps", "argocd"),
    elsewhere("configmap-of-another-team", "ConfigMap", "configmaps", f"team-{OTHER}"),
    elsewhere("serviceaccount-of-another-team", "ServiceAccount", "serviceaccounts", f"team-{OTHER}"),
    elsewhere("sync-identity-of-another-team", "ServiceAccount", "serviceaccounts", "jobyard-teams"),
    Attack(
        "rolebinding-in-another-teams-namespace",
        binding("jobyard-launcher", namespace=f"team-{OTHER}"),
        cannot("patch", "rolebindings", RBAC_GROUP),
        f"namespace team-{OTHER} is not permitted in project 'team-{TEAM}'",
    ),
]
"""Kinds that a team's chart has, where it may not have them."""

FOREIGN_ROLE = "arn:aws:iam::111122223333:role/fraud-jobs"
FOREIGN_ACCOUNT = "arn:aws:iam::999999999999:role/risk-jobs"
OBJECTS = [
    Attack(
        "priority-of-another-team",
        priority_class(f"{OTHER}.mine-5000"),
        NOT_ITS_NAME + f"{OTHER}.mine-5000",
        NOT_PERMITTED_CLASS,
    ),
    Attack(
        "priority-with-a-longer-team-name",
        priority_class(f"{TEAM}-x.mine"),
        NOT_ITS_NAME + f"{TEAM}-x.mine",
        NOT_PERMITTED_CLASS,
    ),
    Attack("priority-without-a-team", priority_class("urgent"), NOT_ITS_NAME + "urgent", NOT_PERMITTED_CLASS),
    Attack(
        "priority-above-the-band",
        priority_class(f"{TEAM}.high-10000", value=10000),
        not_given(f"{TEAM}.high-10000"),
    ),
    Attack("priority-one-more", priority_class(f"{TEAM}.mine-5000"), not_given(f"{TEAM}.mine-5000")),
    Attack(
        "priority-as-the-clusters-default",
        priority_class(f"{TEAM}.default", globalDefault=True),
        "may not be the cluster's default (globalDefault)",
    ),
    Attack(
        "priority-that-preempts",
        priority_class(f"{TEAM}.preempts", preemptionPolicy="PreemptLowerPriority"),
        "may not preempt other pods (preemptionPolicy must be Never)",
    ),
    Attack(
        "priority-that-preempts-by-default",
        {key: value for key, value in priority_class(f"{TEAM}.implied").items() if key != "preemptionPolicy"},
        "may not preempt other pods (preemptionPolicy must be Never)",
    ),
    Attack("binding-cluster-admin", binding("cluster-admin"), TOO_MANY_RIGHTS),
    Attack("binding-the-schedulers-role", binding("system:kube-scheduler"), TOO_MANY_RIGHTS),
    Attack("binding-its-own-sync-role", binding("jobyard-team-sync"), NOT_ITS_ROLE + "ClusterRole jobyard-team-sync"),
    Attack(
        "binding-a-role-of-the-same-name",
        binding("jobyard-launcher", kind="Role"),
        '"jobyard-launcher" not found',
    ),
    Attack(
        "binding-another-teams-launchers",
        binding("jobyard-launcher", group(f"jobyard:{OTHER}:launchers")),
        NOT_ITS_GROUP + f"Group jobyard:{OTHER}:launchers",
    ),
    Attack(
        "binding-a-team-with-a-longer-name",
        binding("jobyard-viewer", group(f"jobyard:{TEAM}-x:viewers")),
        NOT_ITS_GROUP + f"Group jobyard:{TEAM}-x:viewers",
    ),
    Attack(
        "binding-all-who-have-logged-in",
        binding("jobyard-viewer", group("system:authenticated")),
        NOT_ITS_GROUP + "Group system:authenticated",
    ),
    Attack(
        "binding-another-teams-people",
        binding("jobyard-viewer", group(f"oidc:{OTHER}")),
        NOT_ITS_GROUP + f"Group oidc:{OTHER}",
    ),
    Attack(
        "binding-a-service-account",
        binding("jobyard-launcher", account("jobs", f"team-{TEAM}")),
        NOT_ITS_GROUP + "ServiceAccount jobs",
    ),
    Attack(
        "binding-its-sync-identity",
        binding("jobyard-launcher", account(TEAM, "jobyard-teams")),
        NOT_ITS_GROUP + f"ServiceAccount {TEAM}",
    ),
    Attack(
        "binding-a-user",
        binding("jobyard-viewer", {"apiGroup": RBAC_GROUP, "kind": "User", "name": f"jobyard:{TEAM}:somebody"}),
        NOT_ITS_GROUP + f"User jobyard:{TEAM}:somebody",
    ),
    Attack(
        "launchers-rights-for-its-people",
        binding("jobyard-launcher", group(f"jobyard:{TEAM}:viewers")),
        f"jobyard-launcher is for jobyard:{TEAM}:launchers alone",
    ),
    Attack("iam-role-of-another-team", service_account(FOREIGN_ROLE), NOT_ITS_IAM_ROLE + FOREIGN_ROLE),
    Attack("iam-role-of-another-account", service_account(FOREIGN_ACCOUNT), NOT_ITS_IAM_ROLE + FOREIGN_ACCOUNT),
]
"""Kinds that a team's chart has, where it may have them, with something in them that it may not."""
