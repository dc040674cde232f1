"""Faults in a cluster of three NATS servers and three runners, and what they cost the rules."""
