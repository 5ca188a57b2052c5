"""Stands in for EKS Pod Identity: gives the pods of every team their AWS credentials and the S3 server's address.

On EKS a webhook adds these variables to a pod whose service account has a role. Here an admission policy of the API
server does, so that what the DAG builder makes is the same in both places.
"""

from __future__ import annotations

import json
from typing import Any

NAME = "jobyard-local-pod-identity"
_API = "admissionregistration.k8s.io/v1"


def policy(environment: dict[str, str]) -> list[dict[str, Any]]:
    """Return the MutatingAdmissionPolicy, and its binding to the namespaces of teams."""
    variables = ", ".join(
        f"Object.spec.containers.env{{name: {json.dumps(name)}, value: {json.dumps(value)}}}"
        for name, value in environment.items()
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
    selector = {"matchExpressions": [{"key": "jobyard.dev/team", "operator": "Exists"}]}
    binding = {"policyName": NAME, "matchResources": {"namespaceSelector": selector}}
    metadata = {"name": NAME, "labels": {"app.kubernetes.io/part-of": "jobyard"}}
    return [
        {"apiVersion": _API, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {"apiVersion": _API, "kind": "MutatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
    ]
