"""Pods as identities: who may be a role of theirs."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.git_hosts import trusts_tokens
from jobyard_cli.iam.role import Statement


def trusts_pods(account: Account, namespace: str, service_account: str = "") -> Iterator[Statement]:
    """Yield who may be the role of a namespace's pods: one of its service accounts, or any.

    They prove it with EKS Pod Identity, and where the issuer is known with a token.
    """
    pod = {
        "aws:SourceAccount": account.number,
        "aws:RequestTag/eks-cluster-name": account.cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
    }
    if service_account:
        pod["aws:RequestTag/kubernetes-service-account"] = service_account
    yield {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": pod},
    }
    if account.issuer:
        operator = "StringEquals" if service_account else "StringLike"
        name = f"system:serviceaccount:{namespace}:{service_account or '*'}"
        yield trusts_tokens(account, account.issuer, "sts.amazonaws.com", operator, sub=name)
