"""Signals: the list and one signal's story."""
