"""ApiError."""

import pickle

from chalicelib import errors
from chalicelib.errors import ApiError


def test_an_error_can_be_pickled() -> None:
    """Tests raise it in worker processes; an exception that cannot be unpickled breaks the process pool."""
    error = pickle.loads(pickle.dumps(ApiError(errors.CONFLICT, "号源已满", retry_after=2, data={"is_success": True})))
    assert (error.kind, error.retry_after, error.data) == (errors.CONFLICT, 2, {"is_success": True})
    assert (error.text, str(error)) == ("号源已满", "号源已满")
    assert str(pickle.loads(pickle.dumps(ApiError(errors.NOT_FOUND)))) == errors.NOT_FOUND.text
