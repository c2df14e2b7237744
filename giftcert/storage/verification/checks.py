"""Rules of the ten invariants, what breaks one, and the statements that find it."""

from dataclasses import dataclass
from datetime import timedelta

import msgspec

from giftcert.storage.events import SHARDS


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that breaks an invariant.

    ``kind`` says what ``subject`` is: a certificate, product, order, input, event, topic. ``about`` distinguishes
    several of one rule and subject and never changes while the violation lasts; ``expected`` and ``seen`` are for
    people.
    """

    invariant: int
    rule: str
    kind: str
    subject: str
    about: str
    expected: str
    seen: str

    @property
    def key(self) -> str:
        """What is the same as long as this violation stands."""
        return msgspec.json.encode((self.invariant, self.rule, self.subject, self.about)).decode()

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: expected {self.expected}; seen {self.seen}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one invariant demands; ``kind`` is what its subjects are."""

    invariant: int
    name: str
    kind: str = "certificate"

    def broken(self, subject: str, about: str, expected: str, seen: str) -> Violation:
        """Return the violation of this rule."""
        return Violation(self.invariant, self.name, self.kind, subject, about, expected, seen)

    def found_by(self, statement: str) -> "Check":
        """Return the check of this rule by a statement."""
        return Check(self.invariant, self.name, self.kind, statement)


@dataclass(frozen=True, slots=True)
class Check(Rule):
    """A rule whose statement returns whatever breaks it: in this order subject, about, expected and seen."""

    statement: str = ""


OF_PAGE = (
    Rule(2, "reservedWithoutReservation").found_by("""
        SELECT c.certificate_id, '', 'a live reservation ' || c.reservation_id, 'none'
        FROM certificates c LEFT JOIN reservations r
            ON r.certificate_id = c.certificate_id AND r.reservation_id = c.reservation_id AND r.resolved_at IS NULL
        WHERE c.certificate_id = ANY($1::uuid[]) AND c.status = 'reserved' AND r.reservation_id IS NULL
    """),
    Rule(2, "strayReservation").found_by("""
        SELECT c.certificate_id, r.reservation_id,
            format('reservation %s resolved, as the certificate is %s', r.reservation_id, c.status), 'live'
        FROM reservations r JOIN certificates c USING (certificate_id)
        WHERE r.certificate_id = ANY($1::uuid[]) AND r.resolved_at IS NULL
            AND (c.status <> 'reserved' OR c.reservation_id IS DISTINCT FROM r.reservation_id)
    """),
    # A line has one holder, so of two live certificates on one line this names one.
    Rule(3, "holderDiffers").found_by("""
        SELECT c.certificate_id, c.order_id || ' ' || c.line_key,
            format('line %s of order %s held by it, %s', c.line_key, c.order_id, c.status),
            coalesce(format('held by %s, %s', l.holder, l.holder_status), 'held by nobody')
        FROM certificates c LEFT JOIN order_lines l ON l.order_id = c.order_id AND l.line_key = c.line_key
        WHERE c.certificate_id = ANY($1::uuid[])
            AND c.status IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed', 'expired')
            AND (l.holder IS DISTINCT FROM c.certificate_id OR l.holder_status IS DISTINCT FROM c.status)
    """),
    Rule(4, "moneyOutOfBounds").found_by("""
        SELECT certificate_id, '', '0 <= balance, 0 <= held, balance + held <= nominal',
            format('balance %s, held %s, nominal %s', balance, held, nominal)
        FROM certificates
        WHERE certificate_id = ANY($1::uuid[]) AND (balance < 0 OR held < 0 OR balance + held > nominal)
    """),
    Rule(4, "holdsDiffer").found_by("""
        SELECT c.certificate_id, '', format('held %s, as its redemptions hold', sum(r.held)), 'held ' || c.held
        FROM certificates c JOIN redemptions r USING (certificate_id)
        WHERE c.certificate_id = ANY($1::uuid[]) GROUP BY c.certificate_id HAVING sum(r.held) <> c.held
    """),
    Rule(8, "disclosureUnpublished").found_by("""
        SELECT d.certificate_id, d.sequence,
            format('audit.cvcDisclosed to %s under sequence %s', d.disclosed_to, d.sequence),
            coalesce(e.event_type || ' that says other', 'no event')
        FROM disclosures d LEFT JOIN events e USING (certificate_id, sequence)
        WHERE d.certificate_id = ANY($1::uuid[])
            AND (e.event_type IS DISTINCT FROM 'audit.cvcDisclosed' OR e.payload ->> 'disclosedTo' <> d.disclosed_to
                OR e.payload ->> 'purpose' <> d.purpose
                OR (e.payload ->> 'notificationId') IS DISTINCT FROM d.notification_id
                OR e.occurred_at <> d.disclosed_at)
    """),
    Rule(8, "disclosureUnrecorded").found_by("""
        SELECT e.certificate_id, e.sequence, 'a record of the disclosure of sequence ' || e.sequence,
            'none'
        FROM events e LEFT JOIN disclosures d USING (certificate_id, sequence)
        WHERE e.certificate_id = ANY($1::uuid[]) AND e.event_type = 'audit.cvcDisclosed' AND d.disclosed_to IS NULL
    """),
    Rule(9, "spendingLost").found_by("""
        SELECT s.certificate_id, s.identity, format('spending %s applied, pending or parked', s.number), 'neither'
        FROM spendings s JOIN certificates c USING (certificate_id)
        WHERE s.certificate_id = ANY($1::uuid[]) AND s.applied_at IS NULL AND NOT EXISTS (
            SELECT FROM pending p WHERE p.certificate_id = s.certificate_id AND p.order_id = ''
        ) AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(c.parked) AS work
            WHERE work ->> 'kind' = 'spending' AND work ->> 'key' = s.identity
        )
    """),
    Rule(9, "parked").found_by("""
        SELECT c.certificate_id, work ->> 'kind' || ' ' || (work ->> 'key'), 'all that was said of it decided',
            format('a %s could not be decided since %s: %s', work ->> 'kind', work ->> 'since', work ->> 'error')
        FROM certificates c, jsonb_array_elements(c.parked) AS work WHERE c.certificate_id = ANY($1::uuid[])
    """),
    Rule(9, "asleep").found_by("""
        SELECT certificate_id, '',
            format('an instant at which the certificate, which is %s, looks at itself again', status), 'none'
        FROM certificates
        WHERE certificate_id = ANY($1::uuid[]) AND next_instant IS NULL AND parked IS NULL
            AND (status IN ('ordered', 'issued', 'partiallyRedeemed') OR held > 0
                OR any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails'))
    """),
    # Of money and orders nothing follows by itself.
    Rule(10, "causeMissing").found_by("""
        SELECT certificate_id, sequence, 'a record of a topic behind ' || event_type, 'none'
        FROM events WHERE certificate_id = ANY($1::uuid[]) AND cause_event_id IS NULL
            AND event_type IN ('issue.ordered', 'issue.completed', 'redemption.captured', 'redemption.restored')
    """),
    # What a channel asked for has a row of its own; what a person did names the person.
    Rule(10, "requestMissing").found_by("""
        SELECT e.certificate_id, e.sequence, 'a request with its caller behind ' || e.event_type, 'none'
        FROM events AS e WHERE e.certificate_id = ANY($1::uuid[]) AND CASE
            WHEN e.event_type = 'issue.reserved' THEN NOT EXISTS (
                SELECT FROM reservations AS r WHERE r.certificate_id = e.certificate_id
                    AND r.reservation_id = (e.payload ->> 'reservationId')::uuid AND r.reserved_by <> ''
            )
            WHEN e.event_type = 'redemption.authorized' THEN NOT EXISTS (
                SELECT FROM redemptions AS r
                WHERE r.certificate_id = e.certificate_id AND r.redemption_id = e.payload ->> 'redemptionId'
            )
            WHEN e.event_type IN ('refund.resolved', 'audit.blocked', 'audit.unblocked', 'audit.retired',
                'audit.operatorActed', 'audit.cvcDisclosed', 'audit.cvcRefused')
            THEN coalesce(e.payload ->> 'by', e.payload ->> 'who', e.payload ->> 'resolvedBy',
                e.payload ->> 'disclosedTo', '') = ''
            ELSE false
        END
    """),
    # The reservation, the validity and the hold each have an instant at which they end, and not before.
    Rule(10, "tooEarly").found_by("""
        SELECT e.certificate_id, e.sequence, format('%s not before %s', e.event_type, due.at), e.occurred_at::text
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
    """),
)
"""About a page of certificates, whose ids are ``$1`` here and in the three that follow."""

OVERDUE = Rule(9, "overdue").found_by("""
    SELECT certificate_id, '', 'looked at again at ' || next_instant, 'not yet'
    FROM certificates WHERE certificate_id = ANY($1::uuid[]) AND next_instant < $2 AND parked IS NULL
""")
NO_RUN = Rule(9, "runMissing").found_by("""
    SELECT c.certificate_id, '', 'an open workflow that waits for what comes',
        format('none, though it is %s with refund state %s', c.status, c.any_refund_state)
    FROM certificates c LEFT JOIN open_runs r USING (certificate_id)
    WHERE c.certificate_id = ANY($1::uuid[]) AND r.certificate_id IS NULL AND c.timer_at IS NOT NULL
""")
# Causes are looked up for the page at once: the inbox has a partition a day. An order id may be masked in the event,
# but not in the state. What occurred before the inbox begins may be forgotten, though it was decided only now.
CAUSE_UNKNOWN = Rule(10, "causeUnknown").found_by("""
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
    SELECT certificate_id, sequence,
        format('a message %s of %s that ingest has folded', cause_event_id, cause_topic), 'none'
    FROM caused AS e
    WHERE NOT EXISTS (SELECT FROM known WHERE topic = e.cause_topic AND event_id = e.cause_event_id)
        AND NOT EXISTS (
            SELECT FROM spendings AS s
            WHERE s.certificate_id = e.certificate_id AND s.message #>> '{cause,event_id}' = e.cause_event_id
        )
""")
COUNTS_OF_PAGE = """
    SELECT (SELECT count(*) FROM disclosures WHERE certificate_id = ANY($1::uuid[])),
        (SELECT count(*) FROM events WHERE certificate_id = ANY($1::uuid[]))
"""

LINKED_WITHIN = timedelta(minutes=15)
"""Maintenance links every half a minute; it may have stood still for a while."""
CHAIN_BEHIND = Rule(10, "chainBehind", "part").found_by("""
    SELECT 'audit chain', '', 'events linked within a short time',
        format('%s that wait, the oldest since %s', count(*), min(e.recorded_at))
    FROM unlinked_events JOIN events AS e USING (event_id) WHERE e.recorded_at < $1 HAVING count(*) > 0
""")

OF_EVERYTHING = (
    Rule(1, "countDiffers", "product").found_by("""
        SELECT coalesce(b.product_id, c.product_id), '',
            coalesce(b.made, 0) || ' certificates, as its batches say', coalesce(c.there, 0) || ' over all statuses'
        FROM (SELECT product_id, sum(quantity) AS made FROM batches GROUP BY 1) AS b
        FULL JOIN (SELECT product_id, count(*) AS there FROM certificates GROUP BY 1) AS c USING (product_id)
        WHERE b.made IS DISTINCT FROM c.there
    """),
    Rule(1, "keptCountDiffers", "product").found_by("""
        WITH kept AS (
            SELECT product_id, status, sum(certificates) AS certificates FROM (
                SELECT product_id, status, certificates FROM pool_counts
                UNION ALL SELECT product_id, status, certificates FROM pool_changes
                UNION ALL SELECT product_id, was, -certificates FROM pool_changes WHERE was IS NOT NULL
            ) AS parts GROUP BY product_id, status
        ), there AS (
            SELECT product_id, CASE WHEN blocked THEN 'blocked' ELSE status END AS status, count(*) AS certificates
            FROM certificates GROUP BY 1, 2
        )
        SELECT product_id, status, format('%s kept as the count of %s', coalesce(t.certificates, 0), status),
            coalesce(k.certificates, 0) || ' kept'
        FROM there AS t FULL JOIN kept AS k USING (product_id, status)
        WHERE coalesce(t.certificates, 0) <> coalesce(k.certificates, 0)
    """),
    Rule(5, "publishedUnrecorded", "event").found_by("""
        SELECT DISTINCT s.subject, '', 'an event that the database has', 'on the stream only'
        FROM stream_events s LEFT JOIN events e ON e.event_id = s.subject
        WHERE s.sequence = 0 AND e.event_id IS NULL
    """),
    Rule(6, "publishedUnrecorded").found_by("""
        SELECT DISTINCT s.subject, s.sequence, 'an event that the database has',
            'sequence ' || s.sequence || ' on the stream only'
        FROM stream_events s LEFT JOIN events e ON e.certificate_id = s.subject AND e.sequence = s.sequence
        WHERE s.sequence > 0 AND e.event_id IS NULL
    """),
    Rule(9, "shardMissing", "shard").found_by(f"""
        SELECT shard, '', 'a row by which its events are published', 'none'
        FROM generate_series(0, {SHARDS - 1}) AS shard LEFT JOIN outbox_shards s USING (shard) WHERE s.shard IS NULL
    """),  # noqa: S608 - made of constants
)
NOT_OF_A_SAMPLE = (
    Rule(1, "batchUnrecorded", "product").found_by("""
        SELECT b.product_id, b.batch_id, format('audit.imported of batch %s with count %s', b.batch_id, b.quantity),
            coalesce('count ' || (e.payload ->> 'count'), 'no event')
        FROM batches b LEFT JOIN events e ON e.certificate_id IS NULL AND e.event_type = 'audit.imported'
            AND e.payload ->> 'batchId' = b.batch_id::text
        WHERE (e.payload ->> 'count')::bigint IS DISTINCT FROM b.quantity
    """),
    # Not as snapshots are made, each from the one before: every event is counted from the first later snapshot on.
    Rule(5, "snapshotDiffers", "product").found_by("""
        WITH instants AS MATERIALIZED (
            SELECT coalesce(array_agg(DISTINCT (payload ->> 'asOf')::timestamptz), '{}') AS ends FROM events
            WHERE event_type = 'audit.snapshot'
        ), lived AS (
            SELECT product_id, event_type, status, nominal, width_bucket(recorded_at, ends) AS period,
                lag(status, 1, 'available') OVER life AS was,
                lag(balance + held, 1, 0::bigint) OVER life AS owed_before,
                balance + held AS owed, held - lag(held, 1, 0::bigint) OVER life AS taken_up,
                CASE WHEN event_type IN ('issue.completed', 'redemption.captured', 'redemption.restored',
                    'refund.completed', 'audit.expired') THEN payload END AS said
            FROM events, instants WHERE certificate_id IS NOT NULL AND recorded_at < ends[cardinality(ends)]
            WINDOW life AS (PARTITION BY certificate_id ORDER BY sequence)
        ), summed AS MATERIALIZED (
            SELECT product_id, period, event_type, was, status, said ->> 'beforeIssue' AS before_issue,
                count(*) AS certificates, sum(nominal) AS nominal, sum(taken_up) AS taken_up,
                sum(owed - owed_before) AS owed, sum((said #>> '{amount,amount}')::bigint) AS amount,
                sum((said #>> '{excess,amount}')::bigint) AS excess, sum((said #>> '{taken,amount}')::bigint) AS taken,
                sum((said #>> '{uncovered,amount}')::bigint) AS uncovered,
                sum((said #>> '{breakage,amount}')::bigint) AS breakage
            FROM lived GROUP BY 1, 2, 3, 4, 5, 6
        ), figures (product_id, period, figure, change, seen) AS (
            SELECT product_id, width_bucket(recorded_at, ends), 'available', (payload ->> 'count')::bigint, NULL::bigint
            FROM events, instants WHERE certificate_id IS NULL AND event_type = 'audit.imported'
            UNION ALL SELECT product_id, period, figure, change, NULL FROM summed CROSS JOIN LATERAL (
                VALUES (status, certificates), (was, -certificates), ('held money', taken_up), ('liability', owed)
            ) AS of_status (figure, change)
            UNION ALL SELECT product_id, period, figure, change, NULL FROM summed JOIN LATERAL (VALUES
                ('issue.completed', 'issued money', nominal), ('issue.completed', 'revenue', amount),
                ('redemption.captured', 'redeemed money', amount), ('redemption.restored', 'redeemed money', -amount),
                ('refund.completed', 'refunded money', amount - excess),
                ('refund.completed', 'revenue', excess - amount),
                ('refund.completed', 'taken', taken), ('refund.completed', 'uncovered', uncovered),
                ('audit.expired', 'breakage', breakage)
            ) AS of_kind (kind, figure, change) ON kind = event_type
            WHERE before_issue IS DISTINCT FROM 'true'
            UNION ALL SELECT product_id, width_bucket((payload ->> 'asOf')::timestamptz, ends) - 1, recorded.*
            FROM events, instants, LATERAL (
                SELECT key, 0, value::bigint FROM jsonb_each_text(payload -> 'statuses')
                UNION ALL SELECT 'available', 0, (payload ->> 'available')::bigint
                UNION ALL SELECT CASE WHEN key IN ('held', 'issued', 'redeemed', 'refunded') THEN key || ' money'
                    ELSE key END, 0, (value ->> 'amount')::bigint
                FROM jsonb_each(payload) WHERE value ? 'amount'
            ) AS recorded WHERE event_type = 'audit.snapshot'
        ), added_up AS (
            SELECT *, sum(change) OVER (PARTITION BY product_id, figure ORDER BY period) AS expected FROM figures
        )
        SELECT product_id, ends[period + 1] || ' ' || figure,
            format('%s %s as the events before %s add up', figure, expected, ends[period + 1]),
            'audit.snapshot says ' || seen
        FROM added_up, instants WHERE seen <> expected
    """),
    Rule(10, "removed", "event").found_by("""
        SELECT l.event_id, l.link, 'the event that link ' || l.link || ' of the audit chain holds', 'none'
        FROM linked_events l LEFT JOIN events e USING (event_id) WHERE e.event_id IS NULL
    """),
    Rule(9, "paymentLeftBehind", "order").found_by("""
        SELECT u.order_id, format('%s-%s-%s', u.topic, u.partition, u.record_offset),
            format('the payment at %s-%s offset %s folded into its order', u.topic, u.partition, u.record_offset),
            'still kept as that of an unknown order'
        FROM orders o JOIN unmatched_payments u USING (order_id) WHERE NOT o.recheck
    """),
)
"""They take too long for one."""
PENDING = Rule(9, "pending").found_by("""
    SELECT p.certificate_id, p.order_id || ' ' || p.line_key, 'decided within a short time',
        format('%s waits since %s', p.kind, p.since)
    FROM pending AS p JOIN certificates AS c ON c.certificate_id = p.certificate_id
    WHERE p.since < $1 AND c.parked IS NULL ORDER BY p.since
""")
ORDER_LOST = Rule(9, "orderLost", "order").found_by("""
    SELECT i.order_id, format('%s-%s-%s', i.topic, i.partition, i.record_offset),
        format('an order of the %s at %s-%s offset %s', i.event_type, i.topic, i.partition, i.record_offset), 'none'
    FROM inbox i LEFT JOIN orders o USING (order_id)
    WHERE i.event_type LIKE 'order.%' AND o.order_id IS NULL AND i.received_at > $1
""")
# Several records lie at one place where the topic was made anew.
QUARANTINE_UNREPORTED = Rule(9, "quarantineUnreported", "input").found_by("""
    SELECT format('%s-%s', q.topic, q.partition), q.record_offset,
        format('%s error events about offset %s', q.lying, q.record_offset), count(e.event_id)::text
    FROM (
        SELECT topic, partition, record_offset, count(*) AS lying
        FROM quarantine WHERE quarantined_at > $2 GROUP BY topic, partition, record_offset
    ) AS q LEFT JOIN events e
        ON e.stream_key = format('%s-%s', q.topic, q.partition) AND e.event_type LIKE 'error.%'
            AND (e.payload ->> 'offset')::bigint = q.record_offset AND e.event_id > $1
    GROUP BY q.topic, q.partition, q.record_offset, q.lying HAVING count(e.event_id) < q.lying
""")
COUNTS_OF_EVERYTHING = """
    SELECT (SELECT count(*) FROM products), (SELECT count(*) FROM inbox WHERE received_at > $1),
        (SELECT count(*) FROM quarantine WHERE quarantined_at > $1),
        (SELECT count(*) FROM idempotency_keys WHERE answered_at > $1)
"""
