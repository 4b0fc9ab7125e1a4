"""Bots: the list, one bot's page, and the form that makes and changes one."""
