"""What the doors of the gift-certificate service share."""

VERSION = "0.1.0"
"""Of the package; pyproject.toml reads it here, as no image installs the package."""
