"""How positions are left: plans, what is kept of them, and what a broker may hold."""
