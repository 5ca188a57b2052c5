"""Texts as people write them, read with their positions: YAML, durations, Kubernetes quantities."""
