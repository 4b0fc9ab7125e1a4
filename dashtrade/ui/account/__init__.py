"""One's own account: name, password, sessions, second factor, messages."""
