"""The overview: current figures, what needs attention, first steps."""
