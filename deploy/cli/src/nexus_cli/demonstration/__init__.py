"""nexus demo: a clinic's day in fast motion, from facts on the broker to signed webhooks."""
