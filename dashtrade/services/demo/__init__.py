"""The demo: an account without a form."""
