"""From a signal to orders: meaning, size, and permission."""
