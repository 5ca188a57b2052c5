"""Entry point of `python -m jobyard_cli` and of the `jobyard` script."""

from jobyard_cli.cli.main import run

if __name__ == "__main__":
    run()
