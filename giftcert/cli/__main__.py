"""``python -m giftcert.cli``."""

from giftcert.cli import main

if __name__ == "__main__":
    main()
