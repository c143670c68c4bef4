"""A phone that an account has lost proves nothing about patient files any more: another person may have the number."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people import phones
from tests.support import factories, inbox_client, staff_client
from tests.support.account_client import (
    CHANGE_PHONE,
    CHANGE_PHONE_CODE,
    CLOSE,
    START_OVER,
    change_account_phone,
    limit,
    list_audit_details,
)
from tests.support.accounts_client import remove_member, sign_in
from tests.support.booking_client import list_rows
from tests.support.client import post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    list_bindings,
    list_own_bindings,
    merge_patients,
    request_member_code,
    split_patients,
    verify_member,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.sms_provider import Provider, provider
from tests.support.threads import run_in_threads

__all__ = ["provider"]
pytestmark = pytest.mark.usefixtures("fast_hashes", "provider")

NEW = "13800000088"


@dataclass(frozen=True)
class OwnFile:
    """A verified file with the phone of Lin's account, which has a member of it."""

    pati_id: int
    number: str
    member_id: int


@pytest.fixture
def own(hospital: Hospital, lin: Person) -> OwnFile:
    number = build_unused_id_number()
    pati_id = file_patient(hospital.desk, number, pati_phone=lin.phone)
    declared = declare(lin, number)
    assert merge_patients(hospital.desk, declared.pati_id, pati_id).status == 200
    return OwnFile(pati_id, number, declared.person.member_id)


def run_jobs() -> None:
    for queue in (Queue.INTERNAL, Queue.EXTERNAL, Queue.INTERNAL):
        outbox.run_due_jobs(queue)


def read_code(provider: Provider, phone: str) -> str:
    run_jobs()
    return [code for to, code in provider.sent if to == phone][-1]


def close(_: Hospital, person: Person, __: Provider) -> None:
    assert post(CLOSE, person.token, password=PASSWORD).status == 200


def start_over(hospital: Hospital, person: Person, _: Provider) -> None:
    limit(person)
    token = sign_in(hospital, person.phone, PASSWORD).data["token"]
    assert post(START_OVER, token).status == 200


def change_phone(_: Hospital, person: Person, provider: Provider) -> None:
    assert post(CHANGE_PHONE_CODE, person.token).status == 200
    assert post(CHANGE_PHONE_CODE, person.token, phone=NEW).status == 200
    codes = read_code(provider, person.phone), read_code(provider, NEW)
    assert post(CHANGE_PHONE, person.token, oldCode=codes[0], phone=NEW, newCode=codes[1]).status == 200


def change_by_desk(hospital: Hospital, person: Person, _: Provider) -> None:
    assert change_account_phone(hospital.desk, person, NEW).status == 200


Lose = Callable[[Hospital, Person, Provider], None]
LOSSES = [close, start_over, change_phone, change_by_desk]


def get_newcomer(hospital: Hospital, phone: str) -> Person:
    """Return the person who has the number now: the account of start_over, or a new one."""
    signed_in = sign_in(hospital, phone, PASSWORD)
    if signed_in.status == 200:
        person = Person(hospital.tenant_id, int(signed_in.data["userId"]), phone, hospital.lin.role)
        return person.with_token(signed_in.data["token"])
    return factories.create_patient(hospital.tenant_id, phone, "新机主")


def is_bound(declared: Declared, pati_id: int) -> bool:
    return find_pati_id(declared.person.member_id) == pati_id


def list_phone_changes(hospital: Hospital, pati_id: int) -> list[dict[str, Any]]:
    return list_audit_details(hospital, "change_file_phone", f"patient:{pati_id}")


@pytest.mark.store
@pytest.mark.parametrize("lose", LOSSES)
def test_new_owner_of_the_number_gets_no_file_by_it(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider, lose: Lose
) -> None:
    lose(hospital, lin, provider)
    newcomer = get_newcomer(hospital, lin.phone)
    declared = declare(newcomer, own.number)
    run_jobs()
    assert not is_bound(declared, own.pati_id)
    sent = len([to for to, _ in provider.sent if to == lin.phone])
    assert request_member_code(newcomer, declared.person.member_id).status == 200
    run_jobs()
    assert len([to for to, _ in provider.sent if to == lin.phone]) == sent, "no code goes to the number"
    assert merge_patients(hospital.desk, declared.pati_id, own.pati_id).status == 200
    assert list_own_bindings(newcomer, declared.person.member_id).status == 403
    assert not any(one["is_owner"] for one in list_bindings(hospital.desk, own.pati_id).data if lose != change_phone)


@pytest.mark.store
@pytest.mark.parametrize("lose", [close, start_over, change_by_desk])
def test_number_stays_for_calls_until_the_desk_confirms_a_phone(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider, lose: Lose
) -> None:
    lose(hospital, lin, provider)
    reason = {"reason": "本人持身份证"} if lose is close else {}  # the file is in storage
    info = staff_client.get_patient_info(hospital.desk, own.pati_id, **reason).data
    assert (info["pati_phone"], info["phone_confirmed"]) == (lin.phone, False)
    declared = declare(get_newcomer(hospital, lin.phone), own.number)
    assert verify_patient(hospital.desk, own.pati_id, **reason).status == 200
    run_jobs()
    assert not is_bound(declared, own.pati_id), "the document in hand confirms no phone"
    assert verify_patient(hospital.desk, own.pati_id, pati_phone=lin.phone, **reason).status == 200
    run_jobs()
    assert is_bound(declared, own.pati_id)
    info = staff_client.get_patient_info(hospital.desk, own.pati_id, **reason).data
    assert (info["pati_phone"], info["phone_confirmed"]) == (lin.phone, True)


def test_page_that_posts_the_file_back_confirms_nothing(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider
) -> None:
    change_by_desk(hospital, lin, provider)
    info = staff_client.get_patient_info(hospital.desk, own.pati_id).data
    assert post(f"{staff_client.STAFF_PATH}/patient", hospital.desk.token, **info).status == 200
    assert staff_client.get_patient_info(hospital.desk, own.pati_id).data == info


@pytest.mark.store
def test_files_of_members_get_the_new_phone_of_their_owner(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider
) -> None:
    elsewhere = file_patient(hospital.desk, build_unused_id_number(), pati_phone=lin.phone)
    others = file_patient(hospital.desk, build_unused_id_number(), pati_phone="13800000033")
    declared = declare(lin, build_unused_id_number())
    change_phone(hospital, lin, provider)
    phones = {
        pati_id: (info["pati_phone"], info["phone_confirmed"])
        for pati_id in (own.pati_id, declared.pati_id, elsewhere, others)
        for info in [staff_client.get_patient_info(hospital.desk, pati_id).data]
    }
    assert phones == {
        own.pati_id: (NEW, True),
        declared.pati_id: (NEW, True),
        elsewhere: (lin.phone, False),
        others: ("13800000033", True),
    }
    assert list_own_bindings(lin, own.member_id).status == 200, "she is still the owner"


def test_file_of_a_removed_member_does_not_follow(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider
) -> None:
    assert remove_member(lin, own.member_id).status == 200
    change_phone(hospital, lin, provider)
    info = staff_client.get_patient_info(hospital.desk, own.pati_id).data
    assert (info["pati_phone"], info["phone_confirmed"]) == (lin.phone, False)


def test_file_that_is_split_off_later_is_proved_by_the_lost_number_as_little(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider
) -> None:
    """The merged file has the number, too."""
    number = build_unused_id_number()
    source = file_patient(hospital.desk, number, pati_phone=lin.phone)
    merge_id = merge_patients(hospital.desk, source, own.pati_id).data["merge_id"]
    change_by_desk(hospital, lin, provider)
    assert split_patients(hospital.desk, merge_id).status == 200
    declared = declare(get_newcomer(hospital, lin.phone), number)
    run_jobs()
    assert not is_bound(declared, source)


def test_declared_file_that_is_verified_later_is_not_proved_by_the_lost_number(
    hospital: Hospital, lin: Person, provider: Provider
) -> None:
    number = build_unused_id_number()
    old = declare(lin, number)
    change_by_desk(hospital, lin, provider)
    assert verify_patient(hospital.desk, old.pati_id).status == 200
    declared = declare(get_newcomer(hospital, lin.phone), number)
    run_jobs()
    assert not is_bound(declared, old.pati_id)


@pytest.mark.store
def test_code_that_was_sent_before_proves_nothing_afterwards(
    hospital: Hospital, lin: Person, wang: Person, own: OwnFile, provider: Provider
) -> None:
    declared = declare(wang, own.number)
    request_member_code(wang, declared.person.member_id)
    code = read_code(provider, lin.phone)
    change_by_desk(hospital, lin, provider)
    assert verify_member(wang, declared.person.member_id, verCode=code).status == 400
    assert not is_bound(declared, own.pati_id)


def test_number_of_a_limited_account_receives_no_code(
    lin: Person, wang: Person, own: OwnFile, provider: Provider
) -> None:
    limit(lin)
    declared = declare(wang, own.number)
    assert request_member_code(wang, declared.person.member_id).status == 200
    run_jobs()
    assert provider.sent == []


def test_new_owner_of_the_number_is_not_notified_of_bindings(
    hospital: Hospital, lin: Person, wang: Person, own: OwnFile, provider: Provider
) -> None:
    change_by_desk(hospital, lin, provider)
    newcomer = get_newcomer(hospital, lin.phone)
    declared = declare(wang, own.number)
    assert merge_patients(hospital.desk, declared.pati_id, own.pati_id).status == 200
    run_jobs()
    assert inbox_client.list_messages(newcomer) == []
    assert provider.sent == []


@pytest.mark.store
@pytest.mark.parametrize("lose", LOSSES)
def test_each_loss_is_an_entry_of_the_audit_log(
    hospital: Hospital, lin: Person, own: OwnFile, provider: Provider, lose: Lose
) -> None:
    file_patient(hospital.desk, build_unused_id_number(), pati_phone="13800000033")
    lose(hospital, lin, provider)
    causes: dict[Lose, str] = {
        close: "close_account",
        start_over: "start_over",
        change_phone: "change_phone",
        change_by_desk: "change_account_phone",
    }
    assert list_phone_changes(hospital, own.pati_id) == [
        {
            "key_id": None,
            "actor": hospital.desk.principal if lose is change_by_desk else lin.principal,
            "reason": "本人持身份证到前台办理" if lose is change_by_desk else "",
            "cause": causes[lose],
            "owner_before": lin.user_id,
            "owner_after": lin.user_id if lose is change_phone else None,
        }
    ]


@pytest.mark.store
@pytest.mark.parametrize("lose", LOSSES)
def test_number_is_known_in_no_network_of_its_former_owner(
    hospital: Hospital, lin: Person, wang: Person, provider: Provider, lose: Lose
) -> None:
    """There, the former owner could guess the password of the next one without the limits for strangers."""
    for person in (lin, wang):
        assert sign_in(hospital, person.phone, PASSWORD).status == 200
    lose(hospital, lin, provider)
    known = {row["phone_blind"] for row in list_rows("known_networks", hospital)}
    assert phones.compute_blind_index(lin.tenant_id, lin.phone) not in known
    assert phones.compute_blind_index(lin.tenant_id, wang.phone) in known


@pytest.mark.store
def test_desk_that_confirms_while_the_number_is_lost(hospital: Hospital, lin: Person, own: OwnFile) -> None:
    """One comes first; the number proves something only if the desk has confirmed it afterwards."""
    limit(lin)
    token = sign_in(hospital, lin.phone, PASSWORD).data["token"]
    confirm = partial(verify_patient, hospital.desk, own.pati_id, pati_phone=lin.phone)
    run_in_threads([partial(post, START_OVER, token), confirm])
    row = get_file(own.pati_id)
    causes = [one["cause"] for one in list_phone_changes(hospital, own.pati_id)]
    assert causes in (["start_over"], ["start_over", "verify_patient"])
    assert (row["phone_unconfirmed_since"] is None) is (causes[-1] == "verify_patient")
    assert [one["live"] for one in list_rows("members", hospital) if one["pati_id"] == own.pati_id] == [1]


@pytest.mark.usefixtures("own")
def test_losing_a_number_locks_files_before_the_account(hospital: Hospital, lin: Person, provider: Provider) -> None:
    """As bookings do; the other way round, both would wait for each other."""
    statements: list[str] = []
    real = mysql.Tx.fetch_one

    def record(tx: Any, sql: str, **params: Any) -> Any:
        if "FOR UPDATE" in sql:
            statements.append("patients" if "FROM patients" in sql else "accounts")
        return real(tx, sql, **params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysql.Tx, "fetch_one", record)
        change_by_desk(hospital, lin, provider)
    assert statements == ["patients", "patients", "accounts"], "the file, the merged one, the account"
