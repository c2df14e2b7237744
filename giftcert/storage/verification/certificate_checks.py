"""Questions about a page of certificates, whose ids are the first parameter."""

from giftcert.storage.verification.checks import Check

_LIVE = "('ordered', 'issued', 'partiallyRedeemed', 'redeemed', 'expired')"
_LIVE_STATUSES = "('ordered', 'issued', 'partiallyRedeemed')"
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
    SELECT DISTINCT c.order_id AS subject, c.line_key::text AS about,
        'one live certificate on line ' || c.line_key AS expected,
        least(c.certificate_id, o.certificate_id) || ' and ' || greatest(c.certificate_id, o.certificate_id) AS seen
    FROM certificates c JOIN certificates o ON o.order_id = c.order_id AND o.line_key = c.line_key
    WHERE c.certificate_id = ANY($1::uuid[]) AND o.certificate_id <> c.certificate_id
        AND c.status IN {_LIVE} AND o.status IN {_LIVE}
    """,  # noqa: S608 - made of constants
)
HOLDER_DIFFERS = Check(
    3,
    "holderDiffers",
    "certificate",
    f"""
    SELECT c.certificate_id::text AS subject, c.order_id || ' ' || c.line_key AS about,
        format('line %s of order %s held by it, %s', c.line_key, c.order_id, c.status) AS expected,
        coalesce(format('held by %s, %s', l.holder, l.holder_status), 'held by nobody') AS seen
    FROM certificates c LEFT JOIN order_lines l ON l.order_id = c.order_id AND l.line_key = c.line_key
    WHERE c.certificate_id = ANY($1::uuid[]) AND c.status IN {_LIVE}
        AND (l.holder IS DISTINCT FROM c.certificate_id OR l.holder_status IS DISTINCT FROM c.status)
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
DISCLOSURE_UNPUBLISHED = Check(
    8,
    "disclosureUnpublished",
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
    WHERE e.certificate_id = ANY($1::uuid[]) AND e.event_type = 'audit.cvcDisclosed' AND d.disclosed_to IS NULL
    """,
)
SPENDING_LOST = Check(
    9,
    "spendingLost",
    "certificate",
    """
    SELECT s.certificate_id::text AS subject, s.identity AS about,
        format('spending %s applied, pending or parked', s.number) AS expected, 'neither' AS seen
    FROM spendings s JOIN certificates c USING (certificate_id)
    WHERE s.certificate_id = ANY($1::uuid[]) AND s.applied_at IS NULL AND NOT EXISTS (
        SELECT FROM pending p WHERE p.certificate_id = s.certificate_id AND p.order_id = ''
    ) AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(c.parked) AS work
        WHERE work ->> 'kind' = 'spending' AND work ->> 'key' = s.identity
    )
    """,
)
PARKED = Check(
    9,
    "parked",
    "certificate",
    """
    SELECT c.certificate_id::text AS subject, work ->> 'kind' || ' ' || (work ->> 'key') AS about,
        'all that was said of it decided' AS expected,
        format('a %s could not be decided since %s: %s', work ->> 'kind', work ->> 'since', work ->> 'error') AS seen
    FROM certificates c, jsonb_array_elements(c.parked) AS work WHERE c.certificate_id = ANY($1::uuid[])
    """,
)
OVERDUE = Check(
    9,
    "overdue",
    "certificate",
    """
    SELECT certificate_id::text AS subject, '' AS about, 'looked at again at ' || next_instant AS expected,
        'not yet' AS seen
    FROM certificates WHERE certificate_id = ANY($1::uuid[]) AND next_instant < $2 AND parked IS NULL
    """,
)
ASLEEP = Check(
    9,
    "asleep",
    "certificate",
    f"""
    SELECT certificate_id::text AS subject, '' AS about,
        format('an instant at which the certificate, which is %s, looks at itself again', status) AS expected,
        'none' AS seen
    FROM certificates
    WHERE certificate_id = ANY($1::uuid[]) AND next_instant IS NULL AND parked IS NULL
        AND (status IN {_LIVE_STATUSES} OR held > 0
            OR any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails'))
    """,  # noqa: S608 - made of constants
)
NO_RUN = Check(
    9,
    "runMissing",
    "certificate",
    """
    SELECT c.certificate_id::text AS subject, '' AS about, 'an open workflow that waits for what comes' AS expected,
        format('none, though it is %s with refund state %s', c.status, c.any_refund_state) AS seen
    FROM certificates c LEFT JOIN open_runs r USING (certificate_id)
    WHERE c.certificate_id = ANY($1::uuid[]) AND r.certificate_id IS NULL AND c.timer_at IS NOT NULL
    """,
)
# Causes are looked up for the page at once: the inbox has a partition a day. An order id may be masked in the event,
# but not in the state. What occurred before the inbox begins may be forgotten, though it was decided only now.
CAUSE_UNKNOWN = Check(
    10,
    "causeUnknown",
    "certificate",
    """
    WITH caused AS MATERIALIZED (
        SELECT certificate_id, sequence, cause_topic, cause_event_id, payload ->> 'orderId' AS order_id FROM events
        WHERE certificate_id = ANY($1::uuid[]) AND cause_event_id IS NOT NULL AND payload ? 'orderId'
            AND recorded_at > $2 AND occurred_at > $2
    ), known AS MATERIALIZED (
        SELECT DISTINCT topic, event_id FROM inbox WHERE received_on >= $2::date AND order_id = ANY(ARRAY(
            SELECT order_id FROM caused
            UNION SELECT sold #>> '{}' FROM certificates AS c, jsonb_path_query(state, 'strict $.**.order_id') AS sold
            WHERE c.certificate_id = ANY($1::uuid[])
        ))
    )
    SELECT certificate_id::text AS subject, sequence::text AS about,
        format('a message %s of %s that ingest has folded', cause_event_id, cause_topic) AS expected, 'none' AS seen
    FROM caused AS e
    WHERE NOT EXISTS (SELECT FROM known WHERE topic = e.cause_topic AND event_id = e.cause_event_id)
        AND NOT EXISTS (
            SELECT FROM spendings AS s
            WHERE s.certificate_id = e.certificate_id AND s.message #>> '{cause,event_id}' = e.cause_event_id
        )
    """,
)
# Of money and orders nothing follows by itself.
CAUSE_MISSING = Check(
    10,
    "causeMissing",
    "certificate",
    """
    SELECT e.certificate_id::text AS subject, e.sequence::text AS about,
        format('a record of a topic behind %s', e.event_type) AS expected, 'none' AS seen
    FROM events e
    WHERE e.certificate_id = ANY($1::uuid[]) AND e.cause_event_id IS NULL
        AND e.event_type IN ('issue.ordered', 'issue.completed', 'redemption.captured', 'redemption.restored')
    """,
)
# The reservation, the validity and the hold each have an instant at which they end, and not before.
TOO_EARLY = Check(
    10,
    "tooEarly",
    "certificate",
    """
    SELECT e.certificate_id::text AS subject, e.sequence::text AS about,
        format('%s not before %s', e.event_type, due.at) AS expected, e.occurred_at::text AS seen
    FROM events AS e CROSS JOIN LATERAL (
        SELECT reserved_until AS at FROM reservations
        WHERE reservation_id =
            CASE WHEN e.payload ->> 'reason' = 'reservationExpired' THEN (e.payload ->> 'reservationId')::uuid END
        UNION ALL SELECT expires_at FROM redemptions
        WHERE e.payload ->> 'reason' = 'holdLapsed' AND redemption_id = e.payload ->> 'redemptionId'
            AND certificate_id = e.certificate_id
        UNION ALL SELECT (i.payload ->> 'validUntil')::timestamptz FROM events AS i
        WHERE e.event_type = 'audit.expired' AND i.event_type = 'issue.completed'
            AND i.certificate_id = e.certificate_id
    ) AS due
    WHERE e.certificate_id = ANY($1::uuid[]) AND e.occurred_at < due.at
        AND e.event_type IN ('issue.released', 'redemption.voided', 'audit.expired')
    """,
)

OF_PAGE = (
    RESERVED_WITHOUT,
    STRAY_RESERVATION,
    LINE_HELD_TWICE,
    HOLDER_DIFFERS,
    MONEY_OUT_OF_BOUNDS,
    HOLDS_DIFFER,
    DISCLOSURE_UNPUBLISHED,
    DISCLOSURE_UNRECORDED,
    SPENDING_LOST,
    PARKED,
    ASLEEP,
    CAUSE_MISSING,
    TOO_EARLY,
)
"""Those that need the ids alone."""

COUNT_OF_PAGE = """
    SELECT (SELECT count(*) FROM disclosures WHERE certificate_id = ANY($1::uuid[])) AS disclosures,
        (SELECT count(*) FROM events WHERE certificate_id = ANY($1::uuid[])) AS events
"""
