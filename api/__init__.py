"""The HTTP API: one module per resource; ``main`` puts the application together and serves it."""
