"""Trains a model on feature tables and predicts with it; the same functions serve a notebook and the job."""
