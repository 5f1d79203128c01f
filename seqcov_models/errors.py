"""The one exception that carries a message for the user rather than for a programmer."""


class SeqcovError(ValueError):
    """A mistake in the input: the message says what is wrong, where, and what to do."""
