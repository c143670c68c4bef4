"""A stranger claims a person's identity: what he cannot do to her, and the whole life of such a claim."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from chalicelib.booking.jobs import scheduled
from chalicelib.people.patient_status import PatientStatus
from tests.support import accounts_client, inbox_client
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    list_bindings,
    list_duplicates,
    list_own_bindings,
    split_patients,
    verify_member,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number

NAME = "林小雨"
RunJobs = Callable[[], None]


@pytest.fixture
def stranger(wang: Person) -> Person:
    return wang


@pytest.fixture
def owner(lin: Person) -> Person:
    return lin


def test_stranger_gets_a_file_of_his_own_and_the_response_reveals_nothing(
    hospital: Hospital, stranger: Person, number: str, run_jobs: RunJobs
) -> None:
    verified = file_patient(hospital.desk, number)
    responses = [accounts_client.add_member(stranger, one) for one in (number, build_unused_id_number())]
    assert {(one.status, tuple(one.data)) for one in responses} == {(200, ("memberId",))}
    run_jobs()
    claimed, unfiled = (find_pati_id(int(one.data["memberId"])) for one in responses)
    assert verified not in (claimed, unfiled)
    shown = [one for one in accounts_client.list_members(stranger) if one["bindPatiId"] in (str(claimed), str(unfiled))]
    assert [one["verified"] for one in shown] == [False, False]


def test_owner_books_her_half_day_beside_the_stranger(
    hospital: Hospital, department: BookingDepartment, owner: Person, stranger: Person, number: str, run_jobs: RunJobs
) -> None:
    file_patient(hospital.desk, number, pati_phone=owner.phone)
    claimed, own = declare(stranger, number), declare(owner, number)
    run_jobs()
    schedule_id = department.create_schedule()
    department.book_slot(claimed.person, schedule_id, 1)
    department.book_slot(own.person, schedule_id, 2)
    assert [row["is_declared"] for row in list_rows("bookings", hospital)] == [1, 0]


def test_no_shows_of_the_stranger_do_not_block_the_owner(
    hospital: Hospital,
    department: BookingDepartment,
    owner: Person,
    stranger: Person,
    number: str,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file_patient(hospital.desk, number, pati_phone=owner.phone)
    claimed, own = declare(stranger, number), declare(owner, number)
    run_jobs()
    for _ in range(3):
        department.book_slot(claimed.person, department.create_schedule())
        freeze_clock(monkeypatch, "08:00", ahead=2)
        scheduled.mark_missed()
    assert department.submit(claimed.person, department.create_schedule()).status == 403
    department.book_slot(own.person, department.create_schedule())


def test_squatter_under_an_invented_name_does_not_hinder_the_owner(
    hospital: Hospital, owner: Person, stranger: Person, number: str, run_jobs: RunJobs
) -> None:
    squatted = declare(stranger, number, name="李虚构")
    own = declare(owner, number)
    run_jobs()
    verified = verify_patient(hospital.desk, own.pati_id).data
    assert (verified["pati_id"], verified["merge_id"]) == (str(own.pati_id), "")
    assert get_file(squatted.pati_id)["status"] == PatientStatus.DECLARED
    response = verify_patient(hospital.desk, squatted.pati_id)
    assert response.status == 409
    assert response.error == f"该证件已登记在档案 {own.pati_id}，姓名不同，请核对；如确为同一人请合并档案"


def test_names_are_not_guessed(stranger: Person, hospital: Hospital, number: str) -> None:
    """Each guess has the same response, and adds a member; their number is limited."""
    file_patient(hospital.desk, number)
    guesses = [NAME, *(f"林小{character}" for character in "一二三四五六七八九十")]
    ids = {accounts_client.add_member(stranger, number, name=name).data["memberId"] for name in guesses}
    assert len(ids) == 1, "one person of an account is one member"


def read_messages(person: Person) -> list[str]:
    return [one["msg_text"] for one in inbox_client.list_messages(person)]


@dataclass(frozen=True)
class Claim:
    """A stranger's and the owner's member of one identity, each with a booking of the same half-day."""

    claimed: Declared
    strangers_booking: str
    own: Declared
    own_booking: str


def claim_identity(department: BookingDepartment, stranger: Person, owner: Person, number: str) -> Claim:
    """Stranger first, owner later."""
    mornings = [department.create_schedule(), department.create_schedule(doctor_id=department.hospital.zhou.user_id)]
    claimed = declare(stranger, number)
    strangers_booking = department.book_slot(claimed.person, mornings[0])
    own = declare(owner, number)
    return Claim(claimed, strangers_booking, own, department.book_slot(own.person, mornings[1]))


def verify_owner(desk: Person, owner: Person, claim: Claim, number: str) -> None:
    """The front desk finds both files, sees the owner's document, and asks her for her phone."""
    candidates = list_duplicates(desk, claim.own.pati_id).data
    assert [one["pati_id"] for one in candidates if "identity" in one["same"]] == [str(claim.claimed.pati_id)]
    verified = verify_patient(desk, claim.own.pati_id, pati_id_number=number, pati_phone=owner.phone).data
    assert (verified["pati_id"], len(verified["card_no"])) == (str(claim.own.pati_id), 12)
    assert [(one["user_id"], one["is_owner"]) for one in verified["bindings"]] == [(str(owner.user_id), True)]


def check_wrong_merge(desk: Person, owner: Person, stranger: Person, claim: Claim) -> None:
    """Owner, stranger and front desk are notified of a merge by mistake."""
    bound = {one["user_id"] for one in list_bindings(desk, claim.own.pati_id).data}
    assert bound == {str(owner.user_id), str(stranger.user_id)}
    assert any("身份已核验" in text for text in read_messages(stranger))
    assert any("138****0002 已关联您的档案" in text for text in read_messages(owner))
    assert any("预约有冲突" in text for text in read_messages(desk))
    day = get("/pati_service/manager_service/day_bookings", desk.token, date=get_iso_date(1)).data["list"]
    assert {one["book_id"]: one["conflict"] for one in day} == {claim.strangers_booking: True, claim.own_booking: True}
    [binding] = list_own_bindings(owner, claim.own.person.member_id).data
    assert binding["phone"] == "138****0002"


def check_split(hospital: Hospital, owner: Person, stranger: Person, claim: Claim) -> None:
    """Each has their own file and booking again."""
    assert find_pati_id(claim.claimed.person.member_id) == claim.claimed.pati_id
    assert list_own_bindings(owner, claim.own.person.member_id).data == []
    assert any("已撤销" in text for text in read_messages(stranger))
    rows = {str(row["book_id"]): row for row in list_rows("bookings", hospital)}
    held = [(rows[one]["pati_id"], rows[one]["person_live"]) for one in (claim.strangers_booking, claim.own_booking)]
    assert held == [(claim.claimed.pati_id, 1), (claim.own.pati_id, 1)]


def test_life_of_a_claimed_identity(
    hospital: Hospital,
    department: BookingDepartment,
    owner: Person,
    stranger: Person,
    number: str,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stranger first, owner later, the front desk decides, merges by mistake, and splits again."""
    desk = hospital.desk
    claim = claim_identity(department, stranger, owner, number)
    run_jobs()
    verify_owner(desk, owner, claim, number)
    guess = verify_member(stranger, claim.claimed.person.member_id, cardNo="000000000000")
    assert guess.status == 400

    merged = verify_patient(desk, claim.claimed.pati_id).data
    assert merged["pati_id"] == str(claim.own.pati_id), "same document and name: merged by mistake"
    run_jobs()
    check_wrong_merge(desk, owner, stranger, claim)

    split_patients(desk, merged["merge_id"], "不是同一人")
    run_jobs()
    check_split(hospital, owner, stranger, claim)

    department.save_rules(missed_limit=1)
    department.cancel(owner, claim.own_booking)
    freeze_clock(monkeypatch, "08:00", ahead=2)
    scheduled.mark_missed()
    schedule_id = department.create_schedule()
    assert department.submit(claim.claimed.person, schedule_id).status == 403
    department.book_slot(claim.own.person, schedule_id)
    actions = [row["action"] for row in list_rows("audit_log", hospital)]
    assert actions == ["verify_patient", "change_file_phone", "merge_patients", "split_patients"]
