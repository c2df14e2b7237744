"""The pure core: what a certificate is, its messages, what follows. No I/O, no clock, no randomness."""
