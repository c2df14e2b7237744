"""The order as one aggregate, folded from its messages; pure.

Goods are lines of any other kind than certificates; foreign money is in another currency than the order's. Money of a
refund is said to be a line's by allocation or by a person, inferred by the rules, counted by closed refund cases. A
line has left the order when it was cancelled, returned or removed; only a removed one may come back.
"""
