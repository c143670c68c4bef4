"""The Lambda extension: when Lambda may suspend the process."""

from collections.abc import Iterator
from dataclasses import replace
from queue import Empty
from threading import Event

import pytest

from chalicelib.adapters.aws import lambda_extension
from chalicelib.settings import settings
from tests.support.extensions_api import IDENTIFIER, ExtensionsApi, run_extensions_api


@pytest.fixture
def process_ended(monkeypatch: pytest.MonkeyPatch) -> Event:
    ended = Event()
    monkeypatch.setattr(lambda_extension, "_end_process", ended.set)
    return ended


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, process_ended: Event) -> Iterator[ExtensionsApi]:
    with run_extensions_api() as api:
        monkeypatch.setattr(lambda_extension, "settings", replace(settings, lambda_runtime_api=api.address))
        monkeypatch.setattr(lambda_extension, "_is_running", False)
        yield api
    if lambda_extension.is_running():
        assert process_ended.wait(10)


class Work:
    """Background work, of which `waits` has the seconds that the extension would wait for each time."""

    def __init__(self) -> None:
        self.done, self.waited_for, self.waits = Event(), Event(), list[float]()

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.waited_for.set()
        return self.done.wait(10)


def is_ready(api: ExtensionsApi, seconds: float = 10) -> bool:
    """Return whether the extension requests the next event within this time."""
    try:
        return api.ready.get(timeout=seconds) == IDENTIFIER
    except Empty:
        return False


def test_process_is_suspended_when_handler_has_returned_and_work_is_done(api: ExtensionsApi) -> None:
    work = Work()
    lambda_extension.start(work.wait)
    assert lambda_extension.is_running()
    assert api.registrations == [(lambda_extension.NAME, {"events": ["INVOKE"]})]
    for request_id in ("one", "two"):
        work.done.clear()
        work.waited_for.clear()
        assert is_ready(api)
        api.invoke(request_id)
        assert not work.waited_for.wait(0.05), "the handler runs"
        lambda_extension.end_invocation(request_id)
        assert work.waited_for.wait(10)
        assert api.ready.empty(), "the work is not done"
        work.done.set()
    assert is_ready(api)
    assert work.waits == [lambda_extension.MAX_WORK_SECONDS] * 2


def test_handler_may_return_before_the_extension_learns_of_the_invocation(api: ExtensionsApi) -> None:
    work = Work()
    work.done.set()
    lambda_extension.start(work.wait)
    assert is_ready(api)
    lambda_extension.end_invocation("one")
    api.invoke("one")
    assert is_ready(api)


def test_extension_does_not_wait_beyond_the_timeout_of_the_function(api: ExtensionsApi) -> None:
    work = Work()
    work.done.set()
    lambda_extension.start(work.wait)
    assert is_ready(api)
    api.invoke("one", timeout_seconds=lambda_extension.RESERVE_SECONDS + 0.1)
    assert is_ready(api), "the handler did not return"
    assert work.waits[0] < 0.1


def test_process_ends_when_the_extension_fails(api: ExtensionsApi, process_ended: Event) -> None:
    """Otherwise Lambda would wait for it at every invocation."""

    def fail(_: float) -> None:
        raise ValueError

    lambda_extension.start(fail)
    assert is_ready(api)
    api.invoke("one")
    lambda_extension.end_invocation("one")
    assert process_ended.wait(10)


def test_function_works_without_registration(
    api: ExtensionsApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api.register_status = 403
    lambda_extension.start(Work().wait)
    monkeypatch.setattr(lambda_extension, "settings", replace(settings, lambda_runtime_api="127.0.0.1:1"))
    lambda_extension.start(Work().wait)
    assert not lambda_extension.is_running()
    assert caplog.text.count("extension not registered") == 2
