"""Publishes what is recorded: durable intents become records on the stream, in order, shard by shard."""
