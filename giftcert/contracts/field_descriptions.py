"""What the fields of topics and HTTP mean, with their units: one text for a name, wherever it stands.

A name that means something else in one place has a text of its own there, under ``place.name``: ``envelope`` and
``cause`` of an event, the type of an event or message, a struct of the topics, a schema of the API. A description
beside the field itself wins.
"""

from collections.abc import Mapping
from typing import Any

from giftcert.domain.explained import ExplainedWord

OPEN_WORDS = "x-extensible-enum"
"""Words that may become more, as Zalando's API guidelines name them; JSON Schema's own ``enum`` is for ever."""
MINOR = "in minor units (kopecks, cents)"
AMOUNT = f"Integer {MINOR} of `currency`"
CURRENCY = "ISO 4217 code, three capitals"

DESCRIPTIONS: Mapping[str, str] = {
    # What every event says.
    "envelope.eventId": "UUIDv7 of the event. A repeat carries the same id and content; drop what you have seen.",
    "eventType": "What happened. Skip a type that you do not know.",
    "schemaVersion": "Rises only when something breaks for readers. New fields and types do not raise it.",
    "occurredAt": "When it happened in business, as its cause says. RFC 3339, UTC.",
    "recordedAt": "When it was committed here. RFC 3339, UTC.",
    "envelope.channel": "Where the cause happened, such as `im` or `pos`; null where that was no channel.",
    "saleChannel": "Who sold the certificate; null before that, and where the event is about none.",
    "status": "Status of the certificate. `blocked` is shown while it is blocked, whatever it is beneath.",
    "envelope.status": "Status after the event; `blocked` while it is blocked. null where it is about no certificate.",
    "refundState": "The most urgent state of the current sale's refund cases; `none` without any.",
    "envelope.refundState": "Refund state after the event; null where it is about no certificate.",
    "certificateId": "UUIDv7 of a certificate.",
    "envelope.certificateId": "The certificate that it is about; null where it is about none. Then the key says what.",
    "sequence": "Position among the events of the certificate: from 1, without gaps.",
    "envelope.sequence": "Position among the events of the certificate: from 1, without gaps. null without one.",
    "product": "Id of the product, as `GET /products` lists it.",
    "envelope.product": "Id of the product; null where the event is about none.",
    "nominal": f"Face value, {MINOR} with its currency; null while an open value is not chosen.",
    "balance": f"What can be spent now, {MINOR} with its currency.",
    "envelope.balance": f"What can be spent after the event, {MINOR} with its currency; null without a certificate.",
    "held": f"What holds of purchases keep from the balance, {MINOR} with its currency.",
    "envelope.held": f"What holds keep from the balance after the event, {MINOR} with its currency; null without one.",
    "cause": "The input that brought the event about; null where a request or a deadline did.",
    "cause.topic": "Topic of the input.",
    "cause.eventId": "eventId of the input.",
    "payload": "What this type of event says besides; its fields depend on `eventType`.",
    # Ids and words of others.
    "eventId": "Id of the message, up to its owner. What makes two messages the same is their business identity.",
    "channel": "Name of a sales channel, such as `im` (internet store) or `pos` (points of sale).",
    "orderId": "Id of the order, as Orders gives it.",
    "orderVersion": "Rises by any step with every message about the order; a lower one than seen is ignored as stale.",
    "customerId": "Id of the customer at CRM; null if unknown. Of a merged customer the survivor.",
    "lineId": "Id of the line within its order.",
    "lineKey": "Number of the line within its order that stays when Orders renumbers its lines.",
    "paymentId": "Id of the payment, as Payments gives it; null if no payment is known.",
    "paymentIds": "The payments that paid the line.",
    "captureId": "Id of this capture where a payment is captured in parts; part of the message's identity.",
    "refundId": "Id of the refund; one refund may have parts, one per payment. null if none is known yet.",
    "clientId": "Id of the client at CRM.",
    "currency": CURRENCY + ".",
    "total": f"What the buyer pays for the whole order, {MINOR} of `currency`; below the lines' sum: a discount.",
    "lines": "The lines of the order as it now is.",
    "order.cancelled.lines": "The lines that are meant; without them, all. A line may also stand as its lineId alone.",
    "order.returned.lines": "The lines whose goods came back. A line may also stand as its lineId alone.",
    "OrderLine.kind": "`giftCertificate` sells a certificate; `goods` or any other word of Orders does not.",
    "OrderLine.amount": f"Amount of the line before a discount of the whole order, {MINOR}. Below 0: it takes off.",
    "OrderLine.certificateId": "The certificate that is sold on the line; required on a certificate line.",
    "OrderLine.nominal": f"Chosen face value of an open-value product, {MINOR}; left out for others.",
    "OrderLine.recipient": "Whom the certificate is for, if not the customer.",
    "quantity": "Number of certificates, 1 to 100.",
    "OrderLine.quantity": "Number of pieces, or a weight; 1 on a certificate line, which is one certificate.",
    "reservationId": "Id of the reservation, as `GET /certificates/next` gave it; null if none.",
    "recipient": "Whom the certificate is for; wins over the client's own settings. null: the customer.",
    "ref": "Id of the recipient at CRM.",
    "OrderRecipient.channel": "How to send: by e-mail, by SMS, or printed.",
    "Recipient.channel": "How to send: `email`, `sms` or `print`; null: as the client prefers.",
    "locale": "BCP 47 language of what is written, such as `ru-RU`; null if unknown.",
    "preferredChannel": "How the client wants to be written to, as CRM names it; null if unknown.",
    "mergedInto": "The client that this one was merged into; later events name that one. null if none.",
    "client.updated.blocked": "Whether nothing is to be sent to the client: notifications say `suppressed`.",
    "tender": "What was paid with. `giftCertificate` spends a certificate; every other word is money.",
    "message.amount": f"Amount of the payment, {MINOR} of `currency`.",
    "allocations": "How much of it is meant for which lines; left out, the order's rules decide.",
    "PaymentAllocation.amount": f"Part of the payment that is meant for the line, {MINOR}.",
    "message.certificateId": "The certificate that pays; required with tender `giftCertificate`.",
    "message.redemptionId": "The hold that is meant, as `POST /redemptions` gave it.",
    # Payloads of events.
    "reservedUntil": "When the reservation ends, if no order names the certificate before. RFC 3339, UTC.",
    "issue.released.orderId": "The order that it was sold under; null if it was only reserved.",
    "reason": "Why.",
    "issue.ordered.amount": f"Price of the line: its amount less its share of a discount, {MINOR} with its currency.",
    "issue.completed.amount": f"Price of the line: revenue, {MINOR} with its currency.",
    "reclaimed": "Whether it had gone back to the pool and was taken again for the same line.",
    "replaces": "The certificate that the line named before; null if none.",
    "validUntil": "When its validity ends. RFC 3339, UTC.",
    "attempts": "Number of requests that were refused since the event before.",
    "firstAt": "The first of them. RFC 3339, UTC.",
    "lastAt": "The last of them. RFC 3339, UTC.",
    "notificationId": "UUIDv7 of the request to write to the client; send it with `GET …/cvc`. null if none was named.",
    "kind": "What the client is written to about.",
    "suppressed": "Whether the client is blocked: record it, send nothing.",
    "redemptionId": "UUIDv7 of the purchase that the certificate pays for; null if it named none.",
    "redemption.authorized.amount": f"Held from the balance, {MINOR} with its currency.",
    "redemption.captured.amount": f"Spent, {MINOR} with its currency; what was held beyond it is free again.",
    "redemption.voided.amount": f"Given back to the balance, {MINOR} with its currency.",
    "redemption.restored.amount": f"Put back on the certificate, {MINOR} with its currency.",
    "redemption.rejected.amount": f"What was asked for, {MINOR} with its currency.",
    "foreignCurrency": "The currency of `amount` where it is not the certificate's; else null. "
    + CURRENCY
    + ".",
    "refundCaseId": "UUIDv7 of the case: one refund of one sale of the certificate.",
    "awaiting": "What has yet to come.",
    "waitsUntil": "When a person is asked if it has not come. RFC 3339, UTC.",
    "refund.requested.amount": f"What is to go back, {MINOR} with its currency.",
    "refund.completed.amount": f"Money back, {MINOR} with its currency.",
    "refund.pendingDetails.amount": f"Money back or to go back, {MINOR} with the currency in which it came.",
    "excess": f"Part of `amount` beyond the price (charged twice), {MINOR} with its currency.",
    "taken": f"Taken from the balance, in nominal units, {MINOR} with its currency.",
    "uncovered": f"Worth of the refund that the balance did not cover, in nominal units, {MINOR} with its currency.",
    "beforeIssue": "Whether the money went back before the certificate was issued: then it is no revenue.",
    "allowedDecisions": "What a person may decide.",
    "alert.workOverdue.subject": "The task queue, for `queueWithoutWorker`; null otherwise.",
    "alert.workOverdue.count": "How many tasks wait on it, about; null where nobody counts them.",
    "alert.workOverdue.since": "Since when what has waited longest waits. RFC 3339, UTC; null once it is over.",
    "alert.workOverdue.over": "Whether nothing of it is overdue any more.",
    "problems": "What Temporal says of the tasks that fail: category and cause.",
    "webUrl": "Page of the certificate's workflow, for support; null if there is none.",
    "decision": "What was decided.",
    "refund.resolved.amount": f"What may be taken from the balance, {MINOR} with its currency.",
    "resolvedBy": "Who decided: the token's `sub`, or `system` where nothing was left to decide.",
    "note": "What the person noted; free text.",
    "disclosedTo": "Who asked: the token's `sub`.",
    "purpose": "What for, as the caller said: `notification`.",
    "by": "Who acted: the token's `sub`, or `system`.",
    "audit.blocked.reason": "What support noted; free text.",
    "audit.unblocked.reason": "What support noted; free text.",
    "audit.retired.reason": "What operations noted; free text.",
    "breakage": f"Balance that nobody will spend any more, {MINOR} with its currency; null if the event ends nothing.",
    "who": "Who acted: the token's `sub`, or the user of the command line.",
    "what": "What was done; free text.",
    "batchId": "UUIDv7 of a batch of the pool; null if none is meant.",
    "count": "Number of certificates.",
    "available": "Number of certificates that can be given now.",
    "threshold": "Number of certificates below which the alert is raised.",
    "lowThreshold": "Number of available certificates below which `alert.poolLow` is sent.",
    "sold": "Number of certificates issued since `soldSince`.",
    "soldSince": "Since when `sold` counts, a day ago at most. RFC 3339, UTC; null where nothing was sold.",
    "emptyAt": "When none is available if it goes on being sold like that. RFC 3339, UTC; null where nothing was sold.",
    "replenishedTo": "Number of certificates up to which the service fills the pool by itself; null: somebody has to.",
    "source": "Where the certificates of the batch come from.",
    "asOf": "The snapshot counts all events whose recordedAt is before this, and no other. RFC 3339, UTC.",
    **{
        f"StatusCounts.{status}": f"Number of certificates that are {words}."
        for status, words in {
            "available": "in the pool",
            "reserved": "reserved by a channel",
            "ordered": "on an order that is not paid yet",
            "issued": "sold and not spent at all",
            "partiallyRedeemed": "spent in part",
            "redeemed": "spent in whole",
            "refunded": "void, as their money went back",
            "expired": "beyond their validity",
            "retired": "withdrawn by operations",
            "blocked": "blocked by support, whatever their status is beneath",
        }.items()
    },
    "audit.snapshot.held": f"What holds of purchases keep from balances, {MINOR} with its currency.",
    "audit.snapshot.liability": f"Balance and held of all certificates, owed to holders, {MINOR} with its currency. "
    "It equals issued less redeemed, taken and breakage.",
    "audit.snapshot.issued": f"Face value of all that was ever issued, {MINOR} with its currency.",
    "audit.snapshot.revenue": f"Price of all that was ever issued, less refunded, {MINOR} with its currency.",
    "audit.snapshot.redeemed": f"Ever spent, less what was put back, {MINOR} with its currency.",
    "audit.snapshot.refunded": f"Money ever given back for issued certificates, without excess, {MINOR} with its "
    "currency.",
    "audit.snapshot.taken": f"Ever taken from balances by refunds, in nominal units, {MINOR} with its currency.",
    "audit.snapshot.uncovered": f"Worth of refunds that balances did not cover, in nominal units, {MINOR} with its "
    "currency.",
    "audit.snapshot.breakage": f"Balance of all that ever expired, {MINOR} with its currency.",
    "alert.unpaid.amount": f"Price of the line, {MINOR} with its currency.",
    "captured": f"Captured for the line so far, {MINOR} with its currency.",
    "missing": f"What of the price has not come, {MINOR} with its currency.",
    "attempt": "How many times it was raised, this one included.",
    "alert.paymentWithoutCertificate.amount": f"Money that found no certificate, {MINOR} with its currency.",
    "alert.refundStuck.amount": f"Money back or to go back, {MINOR} with its currency.",
    "alert.cancelledWithoutRefund.amount": f"Money that has not gone back, {MINOR} with its currency.",
    "alert.redemptionUncovered.amount": f"What the certificate does not answer for, {MINOR} with its currency.",
    "since": "Since when it waits. RFC 3339, UTC.",
    "alert.verificationLocked.attempts": "Number of wrong CVCs since `since`.",
    "alert.verificationLocked.since": "The first wrong CVC. RFC 3339, UTC.",
    "alert.disclosureUnusual.count": "Number of CVCs that were asked for since `since`.",
    "alert.disclosureUnusual.since": "Start of the hour that is counted. RFC 3339, UTC.",
    "alert.disclosureUnusual.certificateId": "The certificate whose limit was passed; null otherwise.",
    "usual": "Number of CVCs that is the limit, or that was the most in an hour of the last seven days.",
    "certificateLines": "Number of certificate lines of the order.",
    "payments": "Number of payments of the order.",
    "rule": "Name of the check that found it.",
    "subject": "Id of what it is about.",
    "topic": "Topic of the input; null where none is meant.",
    "partition": "Partition of the input, from 0; null where none is known.",
    "offset": "Offset of the input in its partition, from 0; null where none is known.",
    "payload.eventId": "eventId of the input; null where it could not be read.",
    "payload.channel": "The channel that sent them.",
    "detail": "What is wrong, in words: field and what was expected, never a value.",
    "component": "The part of the service that reports.",
    # HTTP.
    "Money.amount": AMOUNT + ".",
    "Amount.amount": AMOUNT + ", at least 1.",
    "RedemptionOrder.amount": f"What the purchase takes, {MINOR} with its currency.",
    "RedemptionOrder.orderId": "Id of the order that is paid for; a capture has to name the same.",
    "RedemptionView.orderId": "Id of the order that is paid for.",
    "RedemptionView.channel": "The channel that holds it.",
    "RedemptionView.status": "`authorized` is held, `captured` spent, `voided` given back, `lapsed` by time.",
    "maskedNumber": "The number with all but its last four digits hidden, for receipts.",
    "number": "The certificate's number: 12 to 19 digits, the last a Luhn check digit. Never log it.",
    "cvc": "The certificate's CVC: 3 to 8 digits. Secret: never log, never store.",
    "Reservation.channel": "The channel that it is reserved for.",
    "ReservationOrder.channel": "The channel that reserves; one of the token's.",
    "ReservationOrder.product": "Id of the product; may be left out where a default is configured.",
    "Credentials.channel": "The channel at which the certificate is shown; one of the token's.",
    "RedemptionOrder.channel": "The channel that sells; one of the token's.",
    "id": "Id of the product.",
    "leastNominal": f"Least face value of an open-value product, {MINOR} with its currency; else null.",
    "greatestNominal": f"Greatest face value of an open-value product, {MINOR} with its currency; else null.",
    "ProductView.nominal": f"Face value, {MINOR} with its currency; null for an open value.",
    "validityDays": "Days from issue to the end of validity.",
    "statuses": "Number of certificates in each status.",
    "operationId": "UUIDv7 of the operation.",
    "OperationView.reason": "Why, as operations said; free text.",
    "RetirementOrder.reason": "Why; goes to the stream, so no numbers and no addresses.",
    "Reason.reason": "Why; goes to the stream, so no numbers and no addresses.",
    "RetirementOrder.batchId": "The batch to withdraw; name this or a certificate.",
    "RetirementOrder.certificateId": "The certificate to withdraw; name this or a batch.",
    "requestedAt": "When it was asked for. RFC 3339, UTC.",
    "finishedAt": "When it was over. RFC 3339, UTC; null while it runs.",
    "OrderView.amount": f"Price of the line, {MINOR} with its currency.",
    "OrderView.channel": "The channel that sold it.",
    "issuedAt": "When it was issued. RFC 3339, UTC; null before.",
    "ReservationView.channel": "The channel that reserved it; null if unknown.",
    "reservedAt": "When it was reserved. RFC 3339, UTC; null if unknown.",
    "ended": "Whether the reservation was ordered, given back or has lapsed.",
    "PastEventView.channel": "Where the cause happened; null where that was no channel.",
    "PastEventView.eventId": "UUIDv7 of the event.",
    "items": "The page.",
    "next": "Send it as `after` to get the next page; null on the last.",
    "order": "The current sale; null without one.",
    "reservation": "The last reservation; null without one.",
    "refundCases": "All refund cases, of earlier sales too.",
    "state": "State of the case.",
    "RefundCaseView.since": "When it was opened, or began to wait for a person. RFC 3339, UTC.",
    "PendingRefund.since": "When it was opened, or began to wait for a person. RFC 3339, UTC.",
    "reasonText": "The reason in words, in the language of the service (`GIFTCERT_LANGUAGE`); null without one.",
    "price": f"Price of the line, {MINOR} with its currency.",
    "refunded": f"Back for the line so far, {MINOR} with its currency.",
    "agreed": "What the first of two persons wants to decide; null unless a second is awaited.",
    "AgreementView.amount": f"What it would take from the balance, {MINOR} of its currency; null: its worth.",
    "AgreementView.by": "The first person: the token's `sub`.",
    "AwaitingSecond.amount": f"What it would take from the balance, {MINOR} of its currency; null: its worth.",
    "ResolutionOrder.note": "What is to be remembered; goes to the stream, so no numbers and no addresses.",
    "ResolutionOrder.decision": "What is decided; one of the case's `allowedDecisions`.",
    "field": "Name of the field, as it was sent.",
    "FieldError.detail": "What is wrong with it; never its value.",
    "type": "Stable path that names the problem; `GET` it for an explanation.",
    "title": "The problem in a few words.",
    "ProblemView.status": "The HTTP status again.",
    "ProblemView.detail": "What is wrong, and what to do.",
    "PartStatus.status": "`ready` if the database answers: reservations need nothing else.",
    "parts": "Each part, and whether it answers: `ok`, `away`, `not needed here`.",
}


def description_of(name: str, *places: str) -> str | None:
    """Return what a field means: the text of the first place that has one of its own, else that of the name."""
    keys = (*(f"{place}.{name}" for place in places), name)
    return next((DESCRIPTIONS[key] for key in keys if key in DESCRIPTIONS), None)


def described(name: str, schema: Mapping[str, Any], *places: str) -> dict[str, Any]:
    """Return a field's schema with what it means, if it does not say so itself; words follow what they are for."""
    description, words = description_of(name, *places), schema.get("description")
    if description is None or (words and OPEN_WORDS not in schema):
        return dict(schema)
    return {**schema, "description": f"{description}\n\n{words}" if words else description}


def open_words(*sets: type[ExplainedWord]) -> dict[str, Any]:
    """Return the schema of a text that is one of these words, or one that a later version adds."""
    words = words_of(*sets)
    lines = [f"- `{word}`: {explanation}" for word, explanation in words.items()]
    return {
        "type": "string",
        "description": "\n".join((*lines, "- any other word: one of a later version.")),
        OPEN_WORDS: list(words),
    }


def words_of(*sets: type[ExplainedWord]) -> dict[str, str]:
    """Return the words of several sets with their explanations; the first set that has a word explains it."""
    words: dict[str, str] = {}
    for one in sets:
        for word in one:
            words.setdefault(word.value, word.explanation)
    return words
