"""What `bot_database` is made of: engines, SQLite's group commit, backup files, and errors told apart."""
