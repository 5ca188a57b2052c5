"""What Jobyard asks of the machine it runs on: other programs, git, locks, and waiting."""
