"""The trade history: round trips, fills, filters."""
