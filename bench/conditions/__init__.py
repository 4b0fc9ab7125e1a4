"""Random conditions, held to what conditions promise."""
