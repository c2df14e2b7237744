"""What comes of a request: the answer to whoever made it, and what others are to be told of."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from giftcert.domain.certificate.events import Recorded
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.products import Product
from giftcert.lifecycle.snapshot import SealedSecrets
from giftcert.temporal.signals import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A request that was decided, now or, where it is ``repeated``, before under the same key.

    ``state`` is that after it, of a repeat that of now; ``recorded`` what followed from the request alone. ``refusal``
    says why it was not carried out; whatever else had to be decided is committed all the same. ``answer`` is the JSON
    that is remembered under the key. ``sealed`` comes with a disclosure. ``wakes`` are to be sent.
    """

    state: CertificateState
    product: Product
    repeated: bool = False
    recorded: tuple[Recorded, ...] = ()
    refusal: StrEnum | None = None
    answer: bytes | None = None
    sealed: SealedSecrets | None = None
    wakes: tuple[Wake, ...] = ()


AnswerOf: TypeAlias = Callable[[Outcome], object]
"""Makes what is remembered of a decided request: JSON-able, from the outcome alone, within the transaction."""
