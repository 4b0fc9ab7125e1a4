"""The dashboard's process, what stands before its pages, and the frame around them."""
