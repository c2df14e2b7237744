"""Plans of the product's statements on a database of a million certificates: ``specs/plans``."""
