"""Bots: the list, one bot's page, and the form that creates and changes one."""
