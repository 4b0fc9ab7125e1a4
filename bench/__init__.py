"""Measurements, each against its yardstick in one run; results are JSON lines. See the README of the project
for the figures."""
