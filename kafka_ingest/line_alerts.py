"""Money for a line whose certificate nobody knows: the channel has to repair the order. Pure."""

from dataclasses import replace

from giftcert.contracts.notices import about_input, input_key
from giftcert.contracts.orders import AnyOrder
from giftcert.contracts.payments import PaymentRecord
from giftcert.domain.events import PaymentWithoutCertificateAlerted
from giftcert.domain.messages import Cause
from kafka_ingest.gathering import Gathering
from kafka_ingest.ledger import Ledger
from kafka_ingest.source import SourceRecord

REASON = "unknownCertificate"


def alert_unknown_lines(
    gathering: Gathering, ledger: Ledger, source: SourceRecord, record: AnyOrder | PaymentRecord
) -> None:
    """Alert where more is captured for such a line than was told of before."""
    for line_id, line in list(ledger.unknown_lines.items()):
        captured = ledger.captured_for(line_id)
        if captured <= line.alerted_amount:
            continue
        told = replace(line, alerted_amount=captured)
        ledger.unknown_lines[line_id] = told
        gathering.plan.note_unknown(ledger.order_id, line_id, told)
        alert = PaymentWithoutCertificateAlerted(
            order_id=ledger.order_id, line_id=line_id, amount=captured, reason=REASON, web_url=None
        )
        cause = Cause(source.topic, record.event_id)
        currency = ledger.snapshot.currency if ledger.snapshot else None
        event = about_input(alert, record.occurred_at, record.channel, cause, currency)
        gathering.plan.alerts.append((input_key(source.topic, source.partition), event))
