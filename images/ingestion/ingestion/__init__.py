"""Copies the rows of a day from a table of a PostgreSQL database to the data bucket."""
