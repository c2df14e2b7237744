"""PostgreSQL, Temporal and Kafka as local processes, and the service on top: see ``stack``.

Nothing is imported here: the guardian and the in-memory broker are processes of this package that stay small.
"""
