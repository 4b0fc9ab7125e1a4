"""From a signal to orders: what it means, how much, and whether it may be."""
