"""The admin page: the installation, its users, all trades."""
