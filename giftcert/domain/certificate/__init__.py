"""A certificate: its state, what may be said to it, what follows."""
