"""The one exception that carries a message for the user rather than for a programmer."""


class SeqcovError(ValueError):
    """A mistake in the input, said as what is wrong, where, and the nearest valid choice."""
