"""Market data: which sources there are, and what they are asked."""
