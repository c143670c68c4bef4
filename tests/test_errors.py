"""Refusals."""

import pickle

from chalicelib import errors
from chalicelib.errors import ApiError


def test_a_refusal_survives_the_way_to_another_process() -> None:
    """As those of a test's processes must: one that cannot be read there breaks the pool."""
    refused = pickle.loads(pickle.dumps(ApiError(errors.CONFLICT, "号源已满", retry_after=2)))
    assert (refused.kind, refused.retry_after) == (errors.CONFLICT, 2)
    assert (refused.text, str(refused)) == ("号源已满", "号源已满")
    assert str(pickle.loads(pickle.dumps(ApiError(errors.NOT_FOUND)))) == errors.NOT_FOUND.text
