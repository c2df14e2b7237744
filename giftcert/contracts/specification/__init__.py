"""What partners read, made from the code that reads and writes: JSON Schemas, examples, AsyncAPI."""
