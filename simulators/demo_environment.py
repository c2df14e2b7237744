"""What the demo's stack is set to, so that deadlines of days pass while one watches.

``demo_environment()`` gives the settings; ``python -m simulators.demo_environment`` prints them as JSON, once it
has found that the demo would take the same options: a wrong one is reported before anything is started.
"""

import json
from pathlib import Path

PRODUCTS_FILE = Path(__file__).with_name("products.json")


def demo_environment() -> dict[str, str]:
    """Return the ``GIFTCERT_*`` settings under which the demo's stories come true within half a minute.

    An unpaid sale is given up after 10 s: more than the demo leaves between any order and its payment, since a
    sale is never released before everything written until its deadline has been applied.
    """
    return {
        "GIFTCERT_PRODUCTS_FILE": str(PRODUCTS_FILE),
        "GIFTCERT_UNPAID_AFTER_ORDER": "PT10S",
        "GIFTCERT_UNPAID_AFTER_AUTHORIZATION": "PT10S",
        "GIFTCERT_REFUND_PAYMENT_WAIT": "PT10S",
        "GIFTCERT_RESERVATION_SWEEP_EVERY": "PT2S",
        "GIFTCERT_POOL_LOW_THRESHOLD": "0",
    }


if __name__ == "__main__":
    from simulators.demo.__main__ import options_of

    options_of()
    print(json.dumps(demo_environment(), indent=2))  # noqa: T201
