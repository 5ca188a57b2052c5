"""Turns what ran jobs before, such as a crontab, into jobs of a team's repository, and accounts for all of it."""
