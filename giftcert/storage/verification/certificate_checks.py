"""Questions about a page of certificates, whose ids are the first parameter."""

from giftcert.storage.verification.checks import Check

_LIVE = "('ordered', 'issued', 'partiallyRedeemed', 'redeemed', 'expired')"
_NEEDS_RUN = """(c.status IN ('ordered', 'issued', 'partiallyRedeemed') OR c.held > 0
    OR c.any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails'))"""
RESERVED_WITHOUT = Check(
    2,
    "reservedWithoutReservation",
    "certificate",
    """
    SELECT c.certificate_id::text AS subject, '' AS about, 'a live reservation ' || c.reservation_id AS expected,
        'none' AS seen
    FROM certificates c
    LEFT JOIN reservations r
        ON r.certificate_id = c.certificate_id AND r.reservation_id = c.reservation_id AND r.resolved_at IS NULL
    WHERE c.certificate_id = ANY($1::uuid[]) AND c.status = 'reserved' AND r.reservation_id IS NULL
    """,
)
STRAY_RESERVATION = Check(
    2,
    "strayReservation",
    "certificate",
    """
    SELECT c.certificate_id::text AS subject, r.reservation_id::text AS about,
        'reservation ' || r.reservation_id || ' resolved, as the certificate is ' || c.status AS expected,
        'live' AS seen
    FROM reservations r JOIN certificates c USING (certificate_id)
    WHERE r.certificate_id = ANY($1::uuid[]) AND r.resolved_at IS NULL
        AND (c.status <> 'reserved' OR c.reservation_id IS DISTINCT FROM r.reservation_id)
    """,
)
LINE_HELD_TWICE = Check(
    3,
    "lineHeldTwice",
    "order",
    f"""
    SELECT DISTINCT c.order_id AS subject, c.line_id AS about,
        'one live certificate on line ' || c.line_id AS expected,
        least(c.certificate_id, o.certificate_id) || ' and ' || greatest(c.certificate_id, o.certificate_id) AS seen
    FROM certificates c JOIN certificates o ON o.order_id = c.order_id AND o.line_id = c.line_id
    WHERE c.certificate_id = ANY($1::uuid[]) AND o.certificate_id <> c.certificate_id
        AND c.status IN {_LIVE} AND o.status IN {_LIVE}
    """,  # noqa: S608 - made of constants
)
MONEY_OUT_OF_BOUNDS = Check(
    4,
    "moneyOutOfBounds",
    "certificate",
    """
    SELECT certificate_id::text AS subject, '' AS about,
        '0 <= balance, 0 <= held, balance + held <= nominal' AS expected,
        format('balance %s, held %s, nominal %s', balance, held, nominal) AS seen
    FROM certificates
    WHERE certificate_id = ANY($1::uuid[]) AND (balance < 0 OR held < 0 OR balance + held > nominal)
    """,
)
HOLDS_DIFFER = Check(
    4,
    "holdsDiffer",
    "certificate",
    """
    SELECT c.certificate_id::text AS subject, '' AS about,
        'held ' || sum(r.held) || ', as its redemptions hold' AS expected, 'held ' || c.held AS seen
    FROM certificates c JOIN redemptions r USING (certificate_id)
    WHERE c.certificate_id = ANY($1::uuid[]) GROUP BY c.certificate_id HAVING sum(r.held) <> c.held
    """,
)
DISCLOSURE_UNTOLD = Check(
    8,
    "disclosureUntold",
    "certificate",
    """
    SELECT d.certificate_id::text AS subject, d.sequence::text AS about,
        format('audit.cvcDisclosed to %s under sequence %s', d.disclosed_to, d.sequence) AS expected,
        coalesce(e.event_type || ' that says other', 'no event') AS seen
    FROM disclosures d LEFT JOIN events e USING (certificate_id, sequence)
    WHERE d.certificate_id = ANY($1::uuid[])
        AND (e.event_type IS DISTINCT FROM 'audit.cvcDisclosed' OR e.payload ->> 'disclosedTo' <> d.disclosed_to
            OR e.payload ->> 'purpose' <> d.purpose
            OR (e.payload ->> 'notificationId') IS DISTINCT FROM d.notification_id)
    """,
)
DISCLOSURE_UNRECORDED = Check(
    8,
    "disclosureUnrecorded",
    "certificate",
    """
    SELECT e.certificate_id::text AS subject, e.sequence::text AS about,
        format('a record of the disclosure that sequence %s tells', e.sequence) AS expected, 'none' AS seen
    FROM events e LEFT JOIN disclosures d USING (certificate_id, sequence)
    WHERE e.certificate_id = ANY($1::uuid[]) AND e.event_type = 'audit.cvcDisclosed' AND d.disclosure_id IS NULL
    """,
)
INPUT_UNDELIVERED = Check(
    9,
    "inputUndelivered",
    "certificate",
    """
    SELECT m.certificate_id::text AS subject, i.identity AS about,
        format('a delivery of %s at %s-%s offset %s', i.event_type, i.topic, i.partition, i.record_offset) AS expected,
        'none' AS seen
    FROM order_certificates m JOIN inbox i USING (order_id)
    LEFT JOIN deliveries d ON d.certificate_id = m.certificate_id AND d.message_key = i.identity
    WHERE m.certificate_id = ANY($1::uuid[]) AND d.delivery_id IS NULL
        AND NOT (i.event_type LIKE 'payment.%' AND i.received_at < m.mapped_at
            AND i.received_at < (SELECT kept_since FROM payment_horizon)) -- dropped before the order was known
    """,
)
PAYMENT_LEFT_BEHIND = Check(
    9,
    "paymentLeftBehind",
    "order",
    """
    SELECT u.order_id AS subject, format('%s-%s-%s', u.topic, u.partition, u.record_offset) AS about,
        format('the payment at %s-%s offset %s in the inbox', u.topic, u.partition, u.record_offset) AS expected,
        'still kept as that of an unknown order' AS seen
    FROM order_certificates m JOIN orders o USING (order_id) JOIN unmatched_payments u USING (order_id)
    WHERE m.certificate_id = ANY($1::uuid[]) AND NOT o.recheck
    """,
)
_UNAPPLIED = """
    FROM deliveries d
    LEFT JOIN applied_messages a USING (certificate_id, message_key)
    LEFT JOIN open_runs r USING (certificate_id)
    WHERE d.certificate_id = ANY($1::uuid[]) AND a.message_key IS NULL AND d.sent_at < $2
"""
_DELIVERY = """
    SELECT d.certificate_id::text AS subject, d.message_key AS about,
        format('message %s, sent at %s, applied or waiting', d.delivery_id, d.sent_at) AS expected
"""
DELIVERY_LOST = Check(
    9,
    "deliveryLost",
    "certificate",
    f"{_DELIVERY}, 'neither: no workflow is open' AS seen {_UNAPPLIED} AND r.certificate_id IS NULL",
)
# What waits in an open workflow is no loss: an authorisation is stored with the next transition only, and what names
# a line that another certificate still holds is asked again. But where a later message is applied, nothing holds it.
DELIVERY_OVERTAKEN = Check(
    9,
    "deliveryOvertaken",
    "certificate",
    f"""{_DELIVERY}, 'neither: a later one was applied' AS seen {_UNAPPLIED} AND r.certificate_id IS NOT NULL
        AND EXISTS (
            SELECT FROM deliveries l JOIN applied_messages USING (certificate_id, message_key)
            WHERE l.certificate_id = d.certificate_id AND l.delivery_id > d.delivery_id AND l.sent_at < $2
        ) AND NOT EXISTS (
            SELECT FROM order_certificates m JOIN order_certificates n USING (order_id)
            JOIN certificates o ON o.certificate_id = n.certificate_id
            WHERE m.certificate_id = d.certificate_id AND n.certificate_id <> m.certificate_id
                AND o.status = 'ordered'
        )""",  # noqa: S608 - made of constants
)
NO_RUN = Check(
    9,
    "runMissing",
    "certificate",
    f"""
    SELECT c.certificate_id::text AS subject, '' AS about, 'an open workflow that waits for what comes' AS expected,
        format('none, though it is %s with refund state %s', c.status, c.any_refund_state) AS seen
    FROM certificates c LEFT JOIN open_runs r USING (certificate_id)
    WHERE c.certificate_id = ANY($1::uuid[]) AND r.certificate_id IS NULL AND {_NEEDS_RUN}
    """,  # noqa: S608 - made of constants
)

OF_PAGE = (
    RESERVED_WITHOUT,
    STRAY_RESERVATION,
    LINE_HELD_TWICE,
    MONEY_OUT_OF_BOUNDS,
    HOLDS_DIFFER,
    DISCLOSURE_UNTOLD,
    DISCLOSURE_UNRECORDED,
    INPUT_UNDELIVERED,
    PAYMENT_LEFT_BEHIND,
)
"""Those that need the ids alone."""
OF_DELIVERIES = (DELIVERY_LOST, DELIVERY_OVERTAKEN)
"""Those that also take the instant before which deliveries were sent."""

COUNT_OF_PAGE = """
    SELECT (SELECT count(*) FROM disclosures WHERE certificate_id = ANY($1::uuid[])) AS disclosures,
        (SELECT count(*) FROM deliveries WHERE certificate_id = ANY($1::uuid[])) AS deliveries
"""
