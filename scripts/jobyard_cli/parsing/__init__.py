"""Parse what people write: YAML with positions, durations, Kubernetes quantities."""
