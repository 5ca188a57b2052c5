"""The findings of a check for programs that show them beside the code: GitHub, GitLab and readers of SARIF."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from jobyard_cli.check.findings import ERROR, Finding
from jobyard_cli.check.rules import RULES, Rule

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def github(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a workflow command for each finding, which GitHub Actions shows at its line of the diff.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    for finding in findings:
        position = f"file={_property(finding.path)},line={finding.line},col={finding.column}"
        yield f"::{finding.severity} {position},title={_property(finding.rule)}::{_data(finding.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def gitlab(findings: Iterable[Finding]) -> str:
    """Return a Code Quality report, which GitLab shows in the merge request.

    https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    entries = [_code_quality(finding, fingerprint) for finding, fingerprint in _fingerprints(findings)]
    return json.dumps(entries, indent=1)


def _code_quality(finding: Finding, fingerprint: str) -> dict[str, Any]:
    begin = {"line": finding.line, "column": finding.column}
    return {
        "description": finding.message,
        "check_name": finding.rule,
        "fingerprint": fingerprint,
        "severity": "major" if finding.severity == ERROR else "minor",
        "location": {"path": finding.path, "positions": {"begin": begin, "end": begin}},
    }


def _fingerprints(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Yield each finding with an id that does not change when lines above it are added or removed."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for finding in findings:
        identity = (finding.path, finding.rule, finding.message)
        yield finding, hashlib.sha256(repr((*identity, seen[identity])).encode()).hexdigest()[:32]
        seen[identity] += 1


def sarif(findings: Iterable[Finding]) -> str:
    """Return a SARIF 2.1.0 log, for code scanning and editors.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    violated: set[Rule] = set()
    results: list[dict[str, Any]] = []
    for finding, fingerprint in _fingerprints(findings):
        violated.add(finding.rule)
        results.append(_sarif_result(finding, fingerprint))
    # PyYAML and Python count columns in characters.
    run = {
        "tool": {"driver": {"name": "jobyard check", "rules": list(map(_sarif_rule, sorted(violated)))}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {"id": rule, "shortDescription": {"text": RULES[rule]}}


def _sarif_result(finding: Finding, fingerprint: str) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": finding.path},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    return {
        "ruleId": finding.rule,
        "level": finding.severity,
        "message": {"text": finding.message},
        "partialFingerprints": {"jobyard/v1": fingerprint},
        "locations": [{"physicalLocation": location}],
    }
