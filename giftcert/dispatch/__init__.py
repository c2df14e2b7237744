"""Publishes the events of the outbox on the stream, in order, shard by shard."""
