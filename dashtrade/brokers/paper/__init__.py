"""The built-in paper broker."""
