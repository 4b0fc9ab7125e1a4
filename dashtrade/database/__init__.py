"""The parts of `bot_database`: engines, SQLite's group commit, backup files, and error classification."""
