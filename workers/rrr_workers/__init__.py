"""Python half of rrr: everything that touches a model or judges an answer."""

__version__ = "0.1.0"
