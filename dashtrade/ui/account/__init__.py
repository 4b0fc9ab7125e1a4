"""The user's account: name, password, sessions, second factor, messages."""
