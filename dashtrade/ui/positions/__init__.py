"""Open positions and orders, and the dialogs that act on them."""
