"""The one transaction that changes a certificate, whoever causes it, and what support sees of the outcome."""
