"""The processes of an installation, and how they find, watch and tell one another."""
