"""DashTrade's notices to users: one small record per kind, with the facts as values and no sentence.

A notice is stored as its kind and its facts; `wording` makes its title and text on display."""
