"""Temporal as the service uses it: the client, ids and queues, signals, search attributes, schedules."""
