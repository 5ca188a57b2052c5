"""Make a team's repository, read it, and upgrade it."""
