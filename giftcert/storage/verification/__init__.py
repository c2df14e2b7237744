"""The SQL of ``giftcert verify``: pages of certificates, what the stream holds of them, checks, and repairs."""
