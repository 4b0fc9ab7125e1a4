"""Users: accounts, sign-in, permissions."""
