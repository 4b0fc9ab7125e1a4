"""Bots: made, changed, paused, closed; their history, and what an alert would do."""
