"""Runs a notebook as a task: parameters of the job go in, the executed notebook is kept, an output comes out."""
