"""The REST API: one blueprint per resource, and the few habits they share (`http.py`)."""
