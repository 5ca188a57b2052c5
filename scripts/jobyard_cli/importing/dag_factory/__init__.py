"""Jobs from the YAML files of dag-factory, with what became of every key (https://github.com/astronomer/dag-factory)."""
