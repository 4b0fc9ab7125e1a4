"""Live positions and open orders, and the dialogs that act on them."""
