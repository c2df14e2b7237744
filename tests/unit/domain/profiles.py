"""How thoroughly properties are searched. A build server takes the same examples each time, a developer new ones."""

import os

from hypothesis import HealthCheck, settings


def searched(examples: int) -> settings:
    """Return settings for a property; a failure prints what reproduces it."""
    return settings(
        max_examples=examples,
        deadline=None,
        print_blob=True,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
