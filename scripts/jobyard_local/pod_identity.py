"""Stands in for EKS Pod Identity: gives the pods of every team their AWS credentials and the S3 server's address.

On EKS a webhook adds these variables to a pod whose service account has a role. Here an admission policy of the API
server does, so that what the DAG builder makes is the same in both places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobyard_cli.platform.teams import PLATFORM_TEAM

NAME = "jobyard-local-pod-identity"
TEAM = "jobyard.dev/team"
_API = "admissionregistration.k8s.io/v1"


def policies(teams: Mapping[str, str], own: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the policies that give pods their variables: those of teams, and of the reserved team `platform`."""
    others: list[dict[str, Any]] = [
        {"key": TEAM, "operator": "Exists"},
        {"key": TEAM, "operator": "NotIn", "values": [PLATFORM_TEAM]},
    ]
    platform = [{"key": TEAM, "operator": "In", "values": [PLATFORM_TEAM]}]
    return [*_policy(NAME, teams, others), *_policy(f"{NAME}-platform", own, platform)]


def _policy(name: str, environment: Mapping[str, str], namespaces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a MutatingAdmissionPolicy, and its binding to the namespaces whose labels match."""
    variables = ", ".join(
        f"Object.spec.containers.env{{name: {json.dumps(variable)}, value: {json.dumps(value)}}}"
        for variable, value in environment.items()
    )
    expression = (
        "Object{spec: Object.spec{containers: object.spec.containers.map(container, "
        f"Object.spec.containers{{name: container.name, env: [{variables}]}})}}}}"
    )
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    selector = {"matchExpressions": namespaces}
    binding = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
    metadata = {"name": name, "labels": {"app.kubernetes.io/part-of": "jobyard"}}
    return [
        {"apiVersion": _API, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {"apiVersion": _API, "kind": "MutatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
    ]
