"""What DashTrade tells its users: one small record per kind, with the facts as values and no sentence.

A notice is stored as its kind and its facts; its title and text are made by `wording` when it is read."""
