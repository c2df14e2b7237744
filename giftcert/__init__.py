"""What the doors of the gift-certificate service share."""
