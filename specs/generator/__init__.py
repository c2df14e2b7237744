"""Makes what partners read, from the code that reads and writes: JSON Schemas and AsyncAPI."""
