"""The exception whose message is written for users."""


class SeqcovError(ValueError):
    """A mistake in the input: the message says what is wrong, where, and what to do."""
