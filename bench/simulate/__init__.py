"""The real engine in one thread, under seeded schedules: every step, fault and crash from one number."""
