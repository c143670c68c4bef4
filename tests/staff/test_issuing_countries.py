"""Passports of two countries with one number: two persons if both countries are known."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib.outbox import outbox
from chalicelib.people import patient_documents
from tests.support import front_desk_client
from tests.support.accounts_client import add_member, list_members
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.front_desk_client import declare, merge_patients, split_patients, verify_member, verify_patient
from tests.support.staff_client import create_patient_file, get_patient_info, save_patient, search_patients
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store

NUMBER = "E12345678"


@pytest.fixture(autouse=True)
def jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def passport(country: str = "") -> dict[str, Any]:
    return {"pati_id_type": "03", "pati_id_number": NUMBER, "pati_id_country": country}


def list_owned(hospital: Hospital) -> list[tuple[str, str]]:
    """Return country and pati_id of the identities of verified files."""
    return sorted((row["country"], str(row["pati_id"])) for row in list_rows("patient_identities", hospital))


def list_documents(hospital: Hospital, pati_id: str) -> list[tuple[str, bool]]:
    shown = get_patient_info(hospital.desk, pati_id).data["documents"]
    return [(one["id_country"], one["verified"]) for one in shown]


def test_search_finds_persons_of_two_countries(hospital: Hospital) -> None:
    first = create_patient_file(hospital.desk, **passport("USA"))
    second = create_patient_file(hospital.desk, pati_name="林大雨", **passport("jpn"))
    assert first != second
    assert create_patient_file(hospital.desk, **passport("USA")) == first, "a double click"
    found = {
        one["pati_id"]: one["id_country"] for one in search_patients(hospital.desk, pati_id_number=NUMBER).data["list"]
    }
    assert found == {first: "USA", second: "JPN"}
    assert {one["id_country"] for one in search_patients(hospital.desk).data["list"]} == {""}
    assert list_documents(hospital, first) == [("USA", True)]


def test_same_name_and_number_of_two_countries_are_two_persons_too(hospital: Hospital) -> None:
    assert len({create_patient_file(hospital.desk, **passport(country)) for country in ("USA", "JPN")}) == 2


def test_country_is_added_to_the_file_that_has_none(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.desk, **passport())
    assert create_patient_file(hospital.desk, **passport("USA")) == pati_id
    assert list_documents(hospital, pati_id) == [("USA", True)]
    assert list_owned(hospital) == [("USA", pati_id)]
    assert create_patient_file(hospital.desk, **passport()) == pati_id, "without a country, the number decides"
    assert list_owned(hospital) == [("USA", pati_id)]
    assert create_patient_file(hospital.desk, **passport("JPN")) != pati_id


def test_another_person_needs_both_countries(hospital: Hospital) -> None:
    first = create_patient_file(hospital.desk, **passport())
    response = save_patient(hospital.desk, pati_name="林大雨", **passport("JPN"))
    assert (response.status, response.code) == (409, 10005)
    save_patient(hospital.desk, pati_id=first, **passport("USA"))
    second = create_patient_file(hospital.desk, pati_name="林大雨", **passport("JPN"))
    assert list_owned(hospital) == sorted([("USA", first), ("JPN", second)])
    assert create_patient_file(hospital.desk, pati_name="林大雨", **passport()) == second, "the name decides"
    assert save_patient(hospital.desk, pati_name="王五", **passport()).status == 409


def test_wrong_country_is_corrected(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.desk, **passport("USA"))
    save_patient(hospital.desk, pati_id=pati_id, **passport("GBR"))
    assert list_documents(hospital, pati_id) == [("GBR", True)]
    assert list_owned(hospital) == [("GBR", pati_id)]
    other = create_patient_file(hospital.desk, pati_name="林大雨", **passport("USA"))
    assert save_patient(hospital.desk, pati_id=pati_id, **passport("USA")).status == 409
    assert list_owned(hospital) == sorted([("GBR", pati_id), ("USA", other)])


@pytest.mark.parametrize("countries", [("", "USA"), ("USA", ""), ("", "")])
def test_concurrent_requests_with_and_without_a_country_create_one_file(
    hospital: Hospital, countries: tuple[str, str]
) -> None:
    assert hospital.desk.token
    for attempt in range(5):
        number = f"E{attempt}2345678"
        forms = [{**passport(country), "pati_id_number": number} for country in (*countries, *countries)]
        found = run_in_threads(partial(create_patient_file, hospital.desk, **form) for form in forms)
        assert len(set(found)) == 1
    assert len(list_rows("patient_identities", hospital)) == 5


def test_request_without_a_country_waits_for_one_with_it(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has found no verified file either; no unique index compares the two."""
    claim, claimed, proceed = patient_documents.claim_identities, Event(), Event()

    def pause(*arguments: Any) -> None:
        claim(*arguments)
        if not claimed.is_set():
            claimed.set()
            assert proceed.wait(10)

    monkeypatch.setattr(patient_documents, "claim_identities", pause)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(create_patient_file, hospital.desk, **passport("USA"))
        assert claimed.wait(10)
        second = pool.submit(create_patient_file, hospital.desk, **passport())
        wait_until(lambda: second.done() or is_row_lock_waiting())
        proceed.set()
        assert first.result() == second.result()
    assert list_owned(hospital) == [("USA", first.result())]


def test_account_may_name_the_country(hospital: Hospital, lin: Person, wang: Person) -> None:
    first = create_patient_file(hospital.desk, pati_phone=lin.phone, **passport("USA"))
    for person, country, verified in ((lin, "JPN", False), (wang, "", False), (lin, "USA", True)):
        assert add_member(person, NUMBER, idType="03", birthday="1990-05-17", idCountry=country).status == 200
        outbox.run_due_jobs()
        shown = list_members(person)[-1]
        assert (shown["idCountry"], shown["verified"]) == (country, verified)
    assert [one["bindPatiId"] == first for one in list_members(lin)[-2:]] == [False, True]


def test_card_binds_a_member_without_a_country(hospital: Hospital, lin: Person) -> None:
    pati_id = create_patient_file(hospital.desk, **passport("USA"))
    card_no = get_patient_info(hospital.desk, pati_id).data["card_no"]
    declared = declare(lin, NUMBER, idType="03", birthday="1990-05-17")
    assert verify_member(lin, declared.person.member_id, cardNo=card_no).status == 200
    assert list_members(lin)[-1]["bindPatiId"] == pati_id
    assert list_owned(hospital) == [("USA", pati_id)]


def test_card_of_another_country_does_not_bind(hospital: Hospital, lin: Person) -> None:
    pati_id = create_patient_file(hospital.desk, **passport("USA"))
    card_no = get_patient_info(hospital.desk, pati_id).data["card_no"]
    declared = declare(lin, NUMBER, idType="03", birthday="1990-05-17", idCountry="JPN")
    assert verify_member(lin, declared.person.member_id, cardNo=card_no).status == 400


def test_desk_verifies_with_the_country_in_hand(hospital: Hospital, lin: Person, wang: Person) -> None:
    verified = create_patient_file(hospital.desk, **passport())
    declared, foreign = (
        declare(lin, NUMBER, idType="03", birthday="1990-05-17"),
        declare(wang, NUMBER, idType="03", birthday="1990-05-17", name="林大雨"),
    )
    assert verify_patient(hospital.desk, declared.pati_id, **passport("USA")).data["pati_id"] == verified
    assert list_owned(hospital) == [("USA", verified)]
    assert verify_patient(hospital.desk, foreign.pati_id).status == 409, "whose it is, is not known"
    assert verify_patient(hospital.desk, foreign.pati_id, **passport("JPN")).status == 200
    assert list_owned(hospital) == sorted([("USA", verified), ("JPN", str(foreign.pati_id))])
    assert list_documents(hospital, str(foreign.pati_id)) == [("JPN", True)]


def test_duplicates_leave_out_other_countries(hospital: Hospital) -> None:
    files = {
        country: create_patient_file(hospital.desk, pati_name=name, pati_birthday=birthday, **passport(country))
        for country, name, birthday in (("USA", "林一", "1990-05-17"), ("JPN", "林二", "1980-05-17"))
    }
    found = front_desk_client.list_duplicates(hospital.desk, files["USA"]).data
    assert [one for one in found if "identity" in one["same"]] == []


def test_files_of_two_countries_are_merged_and_split(hospital: Hospital) -> None:
    """One person, whose country was entered wrongly in one of the files."""
    source, target = (create_patient_file(hospital.desk, **passport(country)) for country in ("USA", "GBR"))
    merge_id = merge_patients(hospital.desk, source, target).data["merge_id"]
    assert list_owned(hospital) == sorted([("USA", target), ("GBR", target)])
    assert sorted(list_documents(hospital, target)) == [("GBR", True), ("USA", True)]
    split_patients(hospital.desk, merge_id)
    assert list_owned(hospital) == sorted([("USA", source), ("GBR", target)])
    assert [list_documents(hospital, one) for one in (source, target)] == [[("USA", True)], [("GBR", True)]]


def test_country_that_was_added_since_the_merge_goes_back(hospital: Hospital) -> None:
    source = create_patient_file(hospital.desk, **passport())
    target = create_patient_file(hospital.desk, pati_id_type="06", pati_id_number="H12345678")
    merge_id = merge_patients(hospital.desk, source, target).data["merge_id"]
    known = [{"id_type": "03", "id_number": NUMBER, "id_country": "USA"}]
    save_patient(hospital.desk, pati_id=target, documents=known)
    split_patients(hospital.desk, merge_id)
    assert ("USA", source) in list_owned(hospital)
    assert list_documents(hospital, source) == [("USA", True)]


def test_passport_of_germany_has_one_letter(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.desk, **passport("D<<"))
    assert list_documents(hospital, pati_id) == [("DEU", True)]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (passport("USB"), "pati_id_country"),
        (passport("US1"), "pati_id_country"),
        (passport("USAA"), "pati_id_country"),
        ({"pati_id_type": "06", "pati_id_number": "H12345678", "pati_id_country": "CHN"}, "pati_id_country"),
        ({"documents": [{"id_type": "03", "id_number": NUMBER, "id_country": "ZZZ"}]}, "documents.id_country"),
    ],
)
def test_invalid_country_is_named_and_creates_no_file(hospital: Hospital, fields: dict[str, Any], named: str) -> None:
    response = save_patient(hospital.desk, **fields)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, named)
    assert list_rows("patients", hospital) == []


def test_invalid_country_of_a_member_is_named(lin: Person) -> None:
    for country in ("USB", "12"):
        response = add_member(lin, NUMBER, idType="03", birthday="1990-05-17", idCountry=country)
        assert (response.status, response.error.partition("：")[0]) == (400, "idCountry")
    assert add_member(lin, "H12345678", idType="06", birthday="1990-05-17", idCountry="CHN").status == 400
