"""Turns a day's raw rows into the day's feature table; the same functions serve a notebook and the job."""
