"""Delivery of notices outside the dashboard."""
