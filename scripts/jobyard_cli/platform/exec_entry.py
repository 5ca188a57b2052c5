"""How a kubeconfig starts the exec plugin. Imports nothing: the library's tests run this file where only Airflow is."""

DAGS_FOLDER = "/usr/local/airflow/dags"
"""Where MWAA copies the bucket's `dags/` to, on workers, schedulers and triggerers. No setting changes it."""
PLUGIN = "jobyard/token_plugin.py"
"""The plugin, below that folder and in the bucket below `dags/`: the same file for all versions of the library."""
API_VERSION = "client.authentication.k8s.io/v1beta1"
"""`aws eks get-token` answers in the version that it is asked for, and in this one if it is not asked."""
_SCRIPT = (
    'if [ -r "$0" ] && command -v python3 >/dev/null; then exec python3 -I -S "$0" -- env "PATH=$PATH" "$@"; fi; '
    'echo "jobyard: $0 or python3 is missing, so every call makes a credential" >&2; exec "$@"'
)
"""Starts the plugin by its absolute path, as not every client starts it in the kubeconfig's folder, and with `python3`,
as a file that comes from S3 is not executable. pyenv's `python3` would find another `aws`, as it changes the PATH. MWAA
copies one file after the other: until the plugin is there, too, the command runs without it."""


def exec_entry(command: list[str], dags: str = DAGS_FOLDER) -> dict[str, object]:
    """Return a user's `exec`: the command that makes the user's credential, through the plugin, which keeps it."""
    return {
        "apiVersion": API_VERSION,
        "command": "sh",
        "args": ["-c", _SCRIPT, f"{dags}/{PLUGIN}", *command],
        "interactiveMode": "Never",
    }
