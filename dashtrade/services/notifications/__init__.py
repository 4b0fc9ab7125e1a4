"""Notices on their way to users outside of the dashboard."""
