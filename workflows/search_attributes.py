"""The one registry of search attributes: what support filters by in the Temporal Web UI."""

from temporalio.common import SearchAttributeKey

CERTIFICATE_STATUS = SearchAttributeKey.for_keyword("CertificateStatus")
CHANNEL = SearchAttributeKey.for_keyword("Channel")
ORDER_ID = SearchAttributeKey.for_keyword("OrderId")
REFUND_STATE = SearchAttributeKey.for_keyword("RefundState")
REFUND_REASON = SearchAttributeKey.for_keyword("RefundReason")
PRODUCT = SearchAttributeKey.for_keyword("Product")

ALL = (CERTIFICATE_STATUS, CHANNEL, ORDER_ID, REFUND_STATE, REFUND_REASON, PRODUCT)
