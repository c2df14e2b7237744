"""``giftcert recover``: brings database and stream together again after either was restored or lost (ADR 92)."""
