"""A sign-in that meets a reset of the same password."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chalicelib.identity import passwords, tokens
from tests.support.client import ApiResponse
from tests.support.faults.final_state import is_row_lock_waiting, wait_until

SignIn = Callable[[], ApiResponse]
Reset = Callable[[], int]


def sign_in_during_reset(patch: pytest.MonkeyPatch, sign_in: SignIn, reset: Reset) -> int:
    """Return what a sign-in is answered whose password is reset, all of it, when it has looked."""
    real = passwords.matches

    def matches(password: str, stored: bytes | None) -> bool:
        right = real(password, stored)
        assert reset() == 200
        return right

    with patch.context() as slow:
        slow.setattr(passwords, "matches", matches)
        return sign_in().status


def sign_in_before_reset_commit(patch: pytest.MonkeyPatch, sign_in: SignIn, reset: Reset) -> int:
    """The same, when the sign-in has looked at the old password, and the reset has ended the open sessions and is not
    committed."""
    real_matches, real_revoke, looked, ended = passwords.matches, tokens.revoke_all, Event(), Event()

    def matches(password: str, stored: bytes | None) -> bool:
        right = real_matches(password, stored)
        looked.set()
        assert ended.wait(10)
        return right

    def revoke_all(*arguments: Any) -> None:
        assert looked.wait(10)
        real_revoke(*arguments)
        ended.set()
        wait_until(lambda: meeting.done() or is_row_lock_waiting())

    with patch.context() as slow, ThreadPoolExecutor(1) as pool:
        slow.setattr(passwords, "matches", matches)
        slow.setattr(tokens, "revoke_all", revoke_all)
        meeting = pool.submit(sign_in)
        assert reset() == 200
        return meeting.result().status
