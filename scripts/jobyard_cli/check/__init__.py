"""Checks a team's repository and returns what is wrong with it, in words that a person can act on."""
