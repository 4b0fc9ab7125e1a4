"""The overview: how it stands, what needs attention, the first steps."""
