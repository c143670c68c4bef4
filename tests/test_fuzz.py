"""Random and boundary requests over HTTP, the same ones each time; bin/fuzz sends more, and others."""

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
from chalicelib.gateway.notify import http
from chalicelib.settings import settings
from devstack.fuzz import runner
from tests.support.fast_passwords import use_fast_hashes

OPERATIONS = conformance.list_operations()


@pytest.fixture(scope="module")
def door() -> Iterator[runner.FuzzClient]:
    """A hash costs little, and a poll to which nothing comes is soon over: their answers are the same."""
    with pytest.MonkeyPatch.context() as patch, runner.run_app() as url:
        use_fast_hashes(patch)
        patch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
        yield runner.FuzzClient(url)


def test_every_endpoint_is_tried() -> None:
    tried = {(operation.method.upper(), operation.path) for operation in OPERATIONS}
    assert tried == {(method, path) for path, methods in app.routes.items() for method in methods}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_as_documented(door: runner.FuzzClient, operation: Operation) -> None:
    runner.fuzz_operation(door, operation, examples=20, number=1)


def fails(*_: Any) -> Any:
    raise ZeroDivisionError


def refuses(*_: Any) -> Any:
    raise ApiError(errors.CONFLICT)


@pytest.mark.parametrize("broken", [fails, refuses])
def test_an_answer_that_is_not_documented_is_noticed(
    door: runner.FuzzClient, broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internal, "issue_token", broken)
    operation = next(operation for operation in OPERATIONS if operation.path == "/inner/get_token")
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        runner.fuzz_operation(door, operation, examples=1, number=1)
