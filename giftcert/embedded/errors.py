"""What can stop the embedded stack."""


class StackError(Exception):
    """The stack cannot start or go on; the message is one line that names the setting to change."""


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that came first; the others follow from the stop that it caused."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
