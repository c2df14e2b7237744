"""What can stop the embedded stack."""


class StackError(Exception):
    """The stack cannot start or go on; the message is one line that names the setting to change."""
