"""Exits of positions: plans, their state, and what a broker may hold."""
