"""What users do to orders, exits and positions, and the story and figures of it."""
