"""Check a team's repository and describe each problem so that a person can fix it."""
