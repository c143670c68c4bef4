"""A hospital with a merchant account, as in the tests of payment."""

from tests.payment.conftest import checkout, pay

__all__ = ["checkout", "pay"]
