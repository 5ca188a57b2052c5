"""What Airflow's page of a DAG shows: the description and the `job.yaml` itself."""

import re


def job_page(introduction: str, source: str, digest: str | None) -> str:
    """Return Markdown: the introduction, the digest of the job, then the source as a block of YAML.

    `jobyard sync` waits until Airflow shows the digest of the job that it released.

    The fence is longer than any run of backticks in the source, which so cannot break out of it. The page
    ends with the fence and so never with ".md", which Airflow would take for the name of a file to read.
    """
    longest = max((len(run) for run in re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    mark = f"Digest of the job: `{digest}`\n\n" if digest else ""
    return f"{introduction}\n\n{mark}{fence}yaml\n{source.rstrip()}\n{fence}"
