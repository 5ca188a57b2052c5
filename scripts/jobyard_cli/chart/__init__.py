"""The team's chart, rendered and validated."""
