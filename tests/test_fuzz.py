"""Random and boundary requests over HTTP, with a fixed seed. bin/fuzz sends more requests with other seeds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from apidocs import conformance
from apidocs.conformance import Operation
from app import app
from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.gateway import internal
from chalicelib.notify import http
from chalicelib.settings import settings
from devstack.fuzz import runner
from tests.support.fast_passwords import use_fast_hashes

OPERATIONS = conformance.list_operations()


@pytest.fixture(scope="module")
def client() -> Iterator[runner.FuzzClient]:
    """Serve the app with cheap password hashes and short long polls, whose responses are the same."""
    with pytest.MonkeyPatch.context() as patch, runner.run_app() as url:
        use_fast_hashes(patch)
        patch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
        yield runner.FuzzClient(url)


def test_every_endpoint_is_covered() -> None:
    covered = {(operation.method.upper(), operation.path) for operation in OPERATIONS}
    assert covered == {(method, path) for path, methods in app.routes.items() for method in methods}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_responses_conform_to_the_document(client: runner.FuzzClient, operation: Operation) -> None:
    runner.fuzz_operation(client, operation, examples=20, number=1)


def raise_error(*_: Any) -> Any:
    raise ZeroDivisionError


def raise_conflict(*_: Any) -> Any:
    raise ApiError(errors.CONFLICT)


@pytest.mark.parametrize("broken", [raise_error, raise_conflict])
def test_undocumented_response_is_reported(
    client: runner.FuzzClient, broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internal, "issue_token", broken)
    operation = next(operation for operation in OPERATIONS if operation.path == "/inner/get_token")
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        runner.fuzz_operation(client, operation, examples=1, number=1)
