"""The HTTP door: one module per resource, everything else put together in ``main``."""
