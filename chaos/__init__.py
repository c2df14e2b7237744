"""Failures on purpose, under running sales. ``python -m chaos`` kills and freezes parts of a stack of its own."""
