"""Places on the waitlist of a member whose place another member of the account takes in a merge."""

import pytest

from chalicelib.booking.waitlist import offering
from tests.support.booking_client import BookingDepartment, create_patient, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import Declared, declare, merge_patients, split_patients, verify_patient
from tests.support.id_numbers import build_unused_id_number
from tests.support.wechat_notifications import list_jobs

pytestmark = pytest.mark.store
Doubles = tuple[Declared, Declared]


@pytest.fixture(autouse=True)
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_clock(monkeypatch, "09:00")  # nothing is given in quiet hours


@pytest.fixture
def doubles(hospital: Hospital, lin: Person) -> Doubles:
    """Two verified members of one account."""
    first, second = (declare(lin, build_unused_id_number()) for _ in range(2))
    for one in (first, second):
        assert verify_patient(hospital.desk, one.pati_id).status == 200
    return first, second


def list_places(hospital: Hospital) -> list[tuple[int, str]]:
    return [(row["member_id"], row["state"]) for row in list_rows("waitlist_entries", hospital)]


def test_place_passes_to_the_other_member_who_gets_the_slot(
    hospital: Hospital, department: BookingDepartment, doubles: Doubles
) -> None:
    source, target = doubles
    full, other = department.create_schedule(slots=1, date=get_iso_date(3)), create_patient(department, 5)
    booked = department.book_slot(other, full)
    assert department.join_waitlist(source.person, full).status == 200
    merge_patients(hospital.desk, source.pati_id, target.pati_id)
    assert department.cancel(other, booked).status == 200
    for payload in list_jobs(department, "offer_waitlist"):
        offering.offer_free_slots(hospital.tenant_id, payload)
    assert list_places(hospital) == [(target.person.member_id, "offered")]
    given = list_rows("bookings", hospital)[-1]
    assert (given["pati_id"], given["member_id"]) == (target.pati_id, target.person.member_id)
    assert department.cancel(target.person, given["book_id"]).status == 200  # other tests count offers that lapse


def test_split_gives_the_place_back(hospital: Hospital, department: BookingDepartment, doubles: Doubles) -> None:
    source, target = doubles
    full = department.create_schedule(slots=1, date=get_iso_date(3))
    department.book_slot(create_patient(department, 5), full)
    assert department.join_waitlist(source.person, full).status == 200
    merge_id = merge_patients(hospital.desk, source.pati_id, target.pati_id).data["merge_id"]
    assert list_places(hospital) == [(target.person.member_id, "waiting")]
    split_patients(hospital.desk, merge_id)
    assert list_places(hospital) == [(source.person.member_id, "waiting")]


def test_only_one_place_of_a_line_can_lead_to_a_slot(
    hospital: Hospital, department: BookingDepartment, doubles: Doubles
) -> None:
    source, target = doubles
    schedules = [department.create_schedule(slots=1, date=get_iso_date(day)) for day in (3, 4)]
    for index, schedule_id in enumerate(schedules, 5):
        department.book_slot(create_patient(department, index), schedule_id)
        assert department.join_waitlist(source.person, schedule_id).status == 200
    assert department.join_waitlist(target.person, schedules[0]).status == 200
    before = list_places(hospital)
    merge_id = merge_patients(hospital.desk, source.pati_id, target.pati_id).data["merge_id"]
    replaced, other = source.person.member_id, target.person.member_id
    assert list_places(hospital) == [(replaced, "waiting"), (other, "waiting"), (other, "waiting")]
    split_patients(hospital.desk, merge_id)
    assert list_places(hospital) == before
