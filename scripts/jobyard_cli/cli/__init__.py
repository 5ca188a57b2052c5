"""The `jobyard` command: one module for each sub-command. Only these print."""
