"""Bots: create, change, pause and close them; their history, and dry runs of alerts."""
