"""An order as one aggregate: folded once per message, read by certificates as the standing of a line."""
