"""The rules of trading only: no clock, no database, no network."""
