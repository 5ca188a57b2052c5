"""How dag-factory's own guide loads a folder: every YAML file in it."""

from pathlib import Path

from dagfactory import load_yaml_dags  # type: ignore[import-not-found]

load_yaml_dags(globals(), dags_folder=str(Path(__file__).with_name("dag_factory")))
