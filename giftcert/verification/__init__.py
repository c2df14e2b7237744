"""The invariants of the lifecycle ("Always true") over database, stream and workflows; ``giftcert verify``."""
