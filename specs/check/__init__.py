"""Checks the specifications as partners use them: by the usual linters, and by clients that generators make."""
