"""Members who are verified by their account's phone when the account gets it, or is confirmed to have it still."""

from collections.abc import Callable

import pytest

from tests.support.account_client import (
    CHANGE_PHONE,
    CHANGE_PHONE_CODE,
    change_account_phone,
    confirm_account,
    confirm_identity,
    limit,
)
from tests.support.accounts_client import sign_in
from tests.support.client import ApiResponse, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.front_desk_client import declare, file_patient, find_pati_id
from tests.support.sms_provider import Provider, provider

__all__ = ["fast_hashes", "provider"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]
NEW = "13800000088"
RunJobs = Callable[[], None]


def change_phone(account: Person, provider: Provider, run_jobs: RunJobs) -> ApiResponse:
    """Change the phone of an account to NEW, as its owner."""
    assert post(CHANGE_PHONE_CODE, account.token).status == 200
    assert post(CHANGE_PHONE_CODE, account.token, phone=NEW).status == 200
    run_jobs()
    codes = dict(provider.sent)
    return post(CHANGE_PHONE, account.token, oldCode=codes[account.phone], phone=NEW, newCode=codes[NEW])


@pytest.mark.parametrize("is_owner", [True, False])
def test_account_gets_the_phone_of_the_file(
    hospital: Hospital, lin: Person, number: str, provider: Provider, run_jobs: RunJobs, is_owner: bool
) -> None:
    verified, declared = file_patient(hospital.desk, number, pati_phone=NEW), declare(lin, number)
    run_jobs()
    assert find_pati_id(declared.person.member_id) == declared.pati_id
    changed = change_phone(lin, provider, run_jobs) if is_owner else change_account_phone(hospital.desk, lin, NEW)
    assert changed.status == 200
    run_jobs()
    assert find_pati_id(declared.person.member_id) == verified


@pytest.mark.parametrize("is_owner", [True, False])
def test_limited_account_is_confirmed(
    hospital: Hospital, lin: Person, number: str, run_jobs: RunJobs, is_owner: bool
) -> None:
    declared = declare(lin, number)
    limit(lin)
    verified = file_patient(hospital.desk, number, pati_phone=lin.phone)
    run_jobs()
    assert find_pati_id(declared.person.member_id) == declared.pati_id
    limited = lin.with_token(sign_in(hospital, lin.phone, PASSWORD).data["token"])
    confirmed = confirm_identity(limited, number) if is_owner else confirm_account(hospital.desk, lin)
    assert confirmed.status == 200
    run_jobs()
    assert find_pati_id(declared.person.member_id) == verified
