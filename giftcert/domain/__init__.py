"""The pure core: what a certificate is, what it is told, what follows. No I/O, no clock, no randomness."""
