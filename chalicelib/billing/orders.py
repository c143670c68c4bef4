"""The states of orders at WeChat Pay."""

from enum import StrEnum


class OrderState(StrEnum):
    """payments.state: the state of an order at WeChat Pay, as far as it is known here."""

    CREATED = "created"
    SUCCESS = "success"  # paid
    CLOSED = "closed"
