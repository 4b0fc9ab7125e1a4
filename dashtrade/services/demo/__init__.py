"""The demo: an account without sign-up."""
