"""Broker accounts: connection, capabilities, and the data that brokers report."""
