"""The SQL of ``giftcert verify``: pages of certificates, what the stream told of them, checks, and what re-drives."""
