"""`jobyard plan`: what a merge request would change, before it does."""
