"""Use cases outside the path of a signal: users, accounts, bots, and reading all of their data."""
