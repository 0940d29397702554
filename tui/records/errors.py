"""The one error an operator sees."""


class UserError(Exception):
    """Something the operator can mend, in one sentence that says what is wrong and what to do. Exit code 2."""
