"""A check's answer for the programs that show it beside the code: GitHub, GitLab, and readers of SARIF."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from jobyard_cli.check.findings import ERROR, Finding

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def github(findings: Iterable[Finding]) -> Iterator[str]:
    """One workflow command for each finding, which GitHub Actions shows at its line of the diff.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    for one in findings:
        place = f"file={_property(one.path)},line={one.line},col={one.column},title={_property(one.rule)}"
        yield f"::{one.severity} {place}::{_data(one.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def gitlab(findings: Iterable[Finding]) -> str:
    """A Code Quality report, which GitLab shows in the merge request.

    https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    fingerprints = _fingerprints(findings)
    return json.dumps([_code_quality(one, fingerprint) for one, fingerprint in fingerprints], indent=1)


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
    """A name for each finding that stays the same when only lines above it come or go."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for one in findings:
        identity = (one.path, one.rule, one.message)
        yield one, hashlib.sha256(repr((*identity, seen[identity])).encode()).hexdigest()[:32]
        seen[identity] += 1


def sarif(findings: Iterable[Finding]) -> str:
    """A SARIF 2.1.0 log, for code scanning and editors.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    listed = list(findings)
    rules = [{"id": rule} for rule in sorted({one.rule for one in listed})]
    results = [_sarif_result(one, fingerprint) for one, fingerprint in _fingerprints(listed)]
    # Columns are counted in characters, as PyYAML and Python do.
    run = {
        "tool": {"driver": {"name": "jobyard check", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


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
