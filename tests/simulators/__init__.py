"""Venues on this machine that speak the real wire protocols, strictly, and fail on demand."""
