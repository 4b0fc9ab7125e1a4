"""Reading alerts: the dialects, their fields, and what came in."""
