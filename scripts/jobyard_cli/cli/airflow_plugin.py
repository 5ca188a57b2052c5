"""`jobyard airflow-plugin`: what Airflow's triggerer needs to follow pods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import OptionalEnvironmentName, PlatformRepository, require_file
from jobyard_cli.errors import UsageError


def airflow_plugin(
    file: Annotated[Path, typer.Argument(help="Archive to write, such as plugins.zip.", dir_okay=False)],
    add_to: Annotated[
        Path | None,
        typer.Option(
            "--add-to",
            help="Archive with the environment's other plugins: what it has is in the new one too, unchanged.",
        ),
    ] = None,
    environment: OptionalEnvironmentName = None,
    repo: PlatformRepository = Path(),
) -> None:
    """Write MWAA's plugins.zip by which Airflow's triggerer follows pods, so that they hold no worker.

    It is put there once: the plugin stays the same, and uses the version of the library that the bucket has.
    """
    from jobyard_cli.platform.environments import load_environment
    from jobyard_cli.platform.plugin import archive, has_plugin

    if not file.parent.is_dir():
        raise UsageError(f"the archive must be in a directory that exists; got {file}")
    if add_to is not None:
        require_file("--add-to", add_to)
    names = load_environment(repo, environment).values if environment else {}
    bucket, airflow = names.get("bucket", "<bucket>"), names.get("airflow", "<environment>")
    if add_to is not None and has_plugin(add_to):
        print(f"{add_to} has this plugin already; nothing was written, and the environment needs no update")
        return
    partial = file.with_name(f"{file.name}.partial")
    partial.write_bytes(archive(add_to))
    partial.replace(file)
    print(
        f"""\
wrote {file}. Put it into Airflow's bucket, and have the environment use it, which takes MWAA 20 to 30 minutes, once:
  aws s3 cp {file} s3://{bucket}/plugins.zip
  aws mwaa update-environment --name {airflow} --plugins-s3-path plugins.zip --plugins-s3-object-version \\
    "$(aws s3api head-object --bucket {bucket} --key plugins.zip --query VersionId --output text)"
Without MWAA: unpack it into Airflow's plugins folder (core.plugins_folder), and restart Airflow."""
    )
