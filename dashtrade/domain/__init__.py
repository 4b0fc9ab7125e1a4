"""The rules of trading, and nothing else: no clock, no database, no network."""
