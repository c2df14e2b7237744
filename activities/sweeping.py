"""Names of the maintenance activities; safe for the workflow sandbox."""

RELEASE_LAPSED_RESERVATIONS = "release_lapsed_reservations"
