"""member/bindings and member/bindings/remove: the owner of a file sees the accounts that have it, and removes them."""

from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from tests.support import accounts_client, booking_client, inbox_client
from tests.support.account_client import list_audit_details
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.client import get, post
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    MEMBER_PATH,
    Declared,
    declare,
    file_patient,
    find_pati_id,
    list_own_bindings,
    merge_patients,
    remove_binding,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.payment_client import ORDER_PATH

NOT_OWNER = "仅限档案本人：账号手机号须与已核验档案预留的手机号一致"


@dataclass(frozen=True)
class SharedFile:
    """A verified file that its owner and another account have."""

    pati_id: int
    number: str
    owner: Declared
    other: Declared


@pytest.fixture(autouse=True)
def jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def shared(hospital: Hospital, lin: Person, wang: Person) -> SharedFile:
    number = build_unused_id_number()
    pati_id = file_patient(hospital.desk, number, pati_phone=lin.phone)
    owner, other = declare(lin, number), declare(wang, number, name="林小雨")
    for one in (owner, other):
        assert merge_patients(hospital.desk, one.pati_id, pati_id).status == 200
    return SharedFile(pati_id, number, owner, other)


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return booking_client.create_department(hospital)


def run_jobs() -> None:
    for queue in (Queue.INTERNAL, Queue.EXTERNAL, Queue.INTERNAL):
        outbox.run_due_jobs(queue)


def test_owner_sees_the_other_accounts(lin: Person, shared: SharedFile) -> None:
    [binding] = list_own_bindings(lin, shared.owner.person.member_id).data
    assert binding.pop("bindTime")
    assert binding == {
        "bindingId": str(shared.other.person.member_id),
        "phone": "138****0002",
        "name": "林小雨",
        "relation": 9,
    }


def test_owner_removes_another_account(
    hospital: Hospital, department: BookingDepartment, lin: Person, wang: Person, shared: SharedFile
) -> None:
    """Its bookings to come are the owner's then, with their charge; the others stay."""
    past, coming = (department.create_schedule(date=booking_client.get_iso_date(ahead)) for ahead in (1, 2))
    cancelled = department.book_slot(shared.other.person, past)
    department.cancel(wang, cancelled)
    booked = department.submit(
        shared.other.person, department.create_schedule(date=booking_client.get_iso_date(3), bookfee=0), key="k1"
    ).data["bookId"]
    assert post(ORDER_PATH, wang.token, appo_id=booked).data["is_success"]
    department.submit(shared.owner.person, coming, key="k1")
    for _ in range(2):  # a double click
        response = remove_binding(lin, shared.owner.person.member_id, shared.other.person.member_id)
        assert response.data is None
    assert list_own_bindings(lin, shared.owner.person.member_id).data == []
    own = [one["memberId"] for one in accounts_client.list_members(wang)]
    assert str(shared.other.person.member_id) not in own
    assert department.get_booking(lin, booked).data["bookStatus"] == 0
    assert department.get_booking(wang, booked).status == 404
    assert department.get_booking(wang, cancelled).data["memberIDNo"] == "", "which is no longer his business"
    assert [row["user_id"] for row in list_rows("charges", hospital)] == [lin.user_id]
    assert department.cancel(lin, booked).status == 200
    run_jobs()
    [text] = [one["msg_text"] for one in inbox_client.list_messages(wang) if "解除关联" in one["msg_text"]]
    assert text == "就诊人林小雨已由档案本人或医院解除关联。其未就诊的预约已转到本人账号。如有疑问，请联系医院前台。"
    assert find_pati_id(shared.other.person.member_id) == shared.pati_id


def test_removed_bindings_are_in_the_audit_log(
    hospital: Hospital, lin: Person, wang: Person, shared: SharedFile
) -> None:
    """Of another account, and of the own one."""
    for _ in range(2):  # a double click
        assert remove_binding(lin, shared.owner.person.member_id, shared.other.person.member_id).status == 200
    for _ in range(2):
        assert accounts_client.remove_member(lin, shared.owner.person.member_id).status == 200
    common = {"actor": lin.principal, "key_id": None, "reason": ""}
    assert list_audit_details(hospital, "unbind_member", f"patient:{shared.pati_id}") == [
        {**common, "member": shared.other.person.member_id, "user": wang.user_id},
        {**common, "member": shared.owner.person.member_id, "user": lin.user_id},
    ]


def test_removed_account_can_declare_the_person_again(lin: Person, wang: Person, shared: SharedFile) -> None:
    remove_binding(lin, shared.owner.person.member_id, shared.other.person.member_id)
    again = declare(wang, shared.number)
    run_jobs()
    assert find_pati_id(again.person.member_id) == again.pati_id


@pytest.mark.parametrize("send", [list_own_bindings, lambda account, member_id: remove_binding(account, member_id, 1)])
def test_other_accounts_are_not_the_owner(lin: Person, wang: Person, shared: SharedFile, send: Any) -> None:
    declared = declare(lin, build_unused_id_number()).person
    for account, member_id in ((wang, shared.other.person.member_id), (lin, declared.member_id)):
        response = send(account, member_id)
        assert (response.status, response.error) == (403, NOT_OWNER)
    for account, member_id in ((wang, shared.owner.person.member_id), (lin, 999_999_999)):
        response = send(account, member_id)
        assert (response.status, response.error) == (404, "就诊人不存在")


def test_only_bindings_of_the_file_are_removed(lin: Person, wang: Person, shared: SharedFile) -> None:
    stranger = declare(wang, build_unused_id_number()).person
    for binding_id in (stranger.member_id, 999_999_999):
        response = remove_binding(lin, shared.owner.person.member_id, binding_id)
        assert (response.status, response.error) == (404, "关联不存在")
    response = remove_binding(lin, shared.owner.person.member_id, shared.owner.person.member_id)
    assert (response.status, response.error) == (409, "本账号的就诊人请用删除就诊人")
    assert len(accounts_client.list_members(wang)) == 2 + 1


@pytest.mark.parametrize("value", ["x", "", None, 0, True])
def test_invalid_ids_are_named(lin: Person, value: Any) -> None:
    assert get(f"{MEMBER_PATH}/bindings", lin.token, memberId=value).error.startswith("memberId：")
    assert remove_binding(lin, value, 1).error.startswith("memberId：")
    assert remove_binding(lin, 1, value).error.startswith("bindingId：")
