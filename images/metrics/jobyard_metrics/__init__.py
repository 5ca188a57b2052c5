"""Collects what all teams' jobs ran, used, cost and measured, one day at a time, and draws the page of it."""
