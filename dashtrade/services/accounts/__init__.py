"""Broker accounts: their connection, what their venue can do, and what they say."""
