"""Fixtures of the workflow tests; what they give is in ``workflow_support``."""

from workflow_support import caught_up, engine, environment, queue, sale

__all__ = ["caught_up", "engine", "environment", "queue", "sale"]
