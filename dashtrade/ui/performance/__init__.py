"""Performance: figures, curves and breakdowns."""
