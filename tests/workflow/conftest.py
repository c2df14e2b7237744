"""Fixtures of the workflow tests; what they give is in ``workflow_support``."""

from workflow_support import environment

__all__ = ["environment"]
