"""Risk: events, protections, and stopping everything."""
