"""How a part can end other than by passing. The message says why."""


class Failed(Exception):
    """It went wrong."""


class Late(Failed):
    """It took too long."""


class Skipped(Exception):
    """It can't be run here."""
