"""Fixtures of the workflow tests; what they give is in ``workflow_support``."""

from workflow_support import caught_up, database, deployment, environment, keyring, other_sale, sale

__all__ = ["caught_up", "database", "deployment", "environment", "keyring", "other_sale", "sale"]
