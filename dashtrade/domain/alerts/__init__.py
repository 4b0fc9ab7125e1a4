"""Reading alerts: the dialects, their fields, and the body."""
