"""What those who took part wrote into their own books, so that BI has something to be compared with."""

from dataclasses import dataclass


@dataclass(slots=True)
class Books:
    """Of this run, in minor units: what shops took in certificates less what they gave back, and what is uncovered.

    ``uncovered`` is what support knowingly refunded of money already spent, ``goods_uncovered`` what shops handed out
    without being paid, ``breakage`` what clients forgot.
    """

    redeemed: int = 0
    uncovered: int = 0
    goods_uncovered: int = 0
    breakage: int = 0
