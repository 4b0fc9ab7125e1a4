"""Measurements, each against its yardstick in one run; results are JSON lines. docs/measured.md has
the figures."""
