"""`jobyard team`: making a team and its repository."""
