"""Where the request comes from that this thread serves, for the entries that it adds to the audit log."""

from contextvars import ContextVar

_address_var: ContextVar[str] = ContextVar("audit_address", default="")


def set_address(address: str) -> None:
    """Set the IP address of the request; "" at its end. Jobs have none."""
    _address_var.set(address)


def get_address() -> str:
    """Return the IP address of the request, "" for a job."""
    return _address_var.get()
