"""What is sold: products and the terms under which their certificates live."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of certificate; amounts in minor units of ``currency``."""

    id: str
    currency: str
    nominal: int | None = None  # None: open value, within these bounds
    least_nominal: int | None = None
    greatest_nominal: int | None = None
    validity: timedelta = timedelta(days=365)
    reservation: timedelta = timedelta(minutes=30)
    reservation_limit: timedelta = timedelta(hours=2)
    hold: timedelta = timedelta(minutes=30)
    hold_limit: timedelta = timedelta(hours=24)
    greatest_discount_percent: int = 20
    number_length: int = 16
    cvc_length: int = 6
    low_threshold: int | None = (
        None  # available certificates below which the pool is low; None: as the service is set
    )
    replenish_to: int | None = None  # what a low pool is filled up to by itself; 0: never

    def allows_nominal(self, nominal: int | None) -> bool:
        """Return whether an order line may carry this nominal; a fixed product needs none."""
        if self.nominal is not None:
            return nominal is None or nominal == self.nominal
        return nominal is not None and (self.least_nominal or 1) <= nominal <= (
            self.greatest_nominal or nominal
        )

    def allows_price(self, price: int, nominal: int) -> bool:
        """Return whether a line may cost this: the nominal, less no more than the greatest discount."""
        least = nominal * (100 - self.greatest_discount_percent)
        return least <= price * 100 <= nominal * 100
