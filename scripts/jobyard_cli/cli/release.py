"""`jobyard release`: the compiled jobs, without putting them anywhere."""

from __future__ import annotations

import sys

from jobyard_cli.cli.options import Output, TeamRepository, team_root


def release(output: Output = None, repo: TeamRepository = None) -> None:
    """Check all jobs and compile them into one release."""
    from jobyard_cli.release.compile import compile_release
    from jobyard_cli.system.git import commit

    root = team_root(repo)
    content = compile_release(root, commit(root))
    if output is None:
        sys.stdout.buffer.write(content.body)
    else:
        output.write_bytes(content.body)
