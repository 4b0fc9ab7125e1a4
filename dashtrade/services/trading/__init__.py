"""What users do to orders, exits and positions, with signal stories and figures."""
