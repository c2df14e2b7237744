"""Fixtures of the workflow tests; what they give is in ``workflow_support``."""

from workflow_support import caught_up, deployment, engine, environment, keyring, other_sale, sale

__all__ = ["caught_up", "deployment", "engine", "environment", "keyring", "other_sale", "sale"]
