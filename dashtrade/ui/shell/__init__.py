"""The dashboard's process, the middleware before its pages, and the frame around them."""
