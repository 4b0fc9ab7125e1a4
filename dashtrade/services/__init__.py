"""Use cases that are not the signal's path: people, accounts, bots, what is shown of it all."""
