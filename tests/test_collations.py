"""Names with 4-byte characters (rare Han, emoji) are found, and are equal only if they are the same."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.adapters import mysql
from tests.support import factories, helpdesk_client, staff_client
from tests.support.client import get, post
from tests.support.factories import Hospital
from tests.support.helpdesk_client import HelpDesk
from tests.support.staff_client import GROUP, LABEL, STAFF_PATH

pytestmark = pytest.mark.store

SOURCES = Path(__file__).parents[1] / "chalicelib"
EQUALITY, SEARCH = "utf8mb4_bin", "utf8mb4_unicode_520_ci"
# Every search for a part of a text, by module and expression: the columns that it searches. A column without a
# collation holds bytes.
SEARCHES = {
    ("identity/attempts.py", "subject LIKE"): ["attempts.subject", "quotas.subject"],
    ("identity/tokens.py", "t.principal LIKE"): ["tokens.principal"],
    ("audit/audit_log.py", "a.actor LIKE"): ["audit_log.actor"],
    ("admin/ratings.py", "m.sender LIKE"): ["messages.sender"],
    ("staff/list_store.py", "p.name_key LIKE"): ["patients.name_key"],
    ("staff/list_store.py", "name LIKE"): ["staff.name"],
    ("staff/list_store.py", "s.name LIKE"): ["staff.name"],
    ("helpdesk/list_store.py", "LOCATE(%(name_key)s, {NAME_KEY_SQL})"): ["accounts.name_key", "members.name_key"],
    ("helpdesk/list_store.py", "LOCATE(%(name)s, {DISPLAY_NAME_SQL})"): ["accounts.name", "members.name", "staff.name"],
}
SEARCH_SQL = re.compile(r"(?:LOCATE|INSTR)\([^)]*\)s, [^)]*\)|[\w.]+ (?:LIKE|REGEXP)(?= [%'])")
RARE_NAMES = ["王强", "王𬭎", "王𠮷", "王\U0010fffd"]
DIFFERENT_NAMES = [("🔴", "🟢"), ("内科𬭎", "内科𬱟"), ("Ａ组", "A组"), ("Ⅰ期", "I期"), ("❤️", "❤"), ("が", "か")]


def load_collations() -> dict[str, str | None]:
    """Return the collation of each column, by table and column."""
    rows = mysql.autocommit.fetch_all(
        """
        SELECT CONCAT(table_name, '.', column_name) AS name, collation_name AS collation
        FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'schema_ledger'
        """
    )
    return {row["name"]: row["collation"] for row in rows}


def list_unique_columns() -> set[str]:
    rows = mysql.autocommit.fetch_all(
        """
        SELECT DISTINCT CONCAT(table_name, '.', column_name) AS name
        FROM information_schema.statistics WHERE table_schema = DATABASE() AND non_unique = 0
        """
    )
    return {row["name"] for row in rows}


def iter_searches() -> Iterator[tuple[str, str]]:
    for path in SOURCES.rglob("*.py"):
        for found in SEARCH_SQL.finditer(path.read_text()):
            yield path.relative_to(SOURCES).as_posix(), found[0]


def test_texts_in_unique_keys_are_compared_by_code_points() -> None:
    collations = load_collations()
    unique = {name: collations[name] for name in list_unique_columns() if collations.get(name)}
    assert {"departments.name", "adm_group_label.name", "bookings.book_code"} < unique.keys()
    assert {name: collation for name, collation in unique.items() if collation not in ("ascii_bin", EQUALITY)} == {}


def test_no_collation_takes_two_4_byte_characters_for_the_same() -> None:
    used = {collation for collation in load_collations().values() if collation}
    assert used == {"ascii_bin", EQUALITY, SEARCH}
    for collation in (EQUALITY, SEARCH):
        for one, other in DIFFERENT_NAMES[:2]:
            sql = f"SELECT %(one)s COLLATE {collation} = %(other)s COLLATE {collation}"
            assert mysql.autocommit.fetch_value(sql, one=one, other=other) == 0


def test_every_searched_column_is_bytes_or_has_the_collation_for_searches() -> None:
    assert set(iter_searches()) == SEARCHES.keys(), "add the search here, and a test below"
    collations = load_collations()
    wrong = {name for names in SEARCHES.values() for name in names if collations[name] not in (None, SEARCH)}
    assert wrong == set()


def test_search_by_the_beginning_of_a_patients_name_finds_rare_characters(hospital: Hospital) -> None:
    for name in RARE_NAMES:
        staff_client.create_patient_file(hospital.desk, pati_name=name)
    for number in range(50):  # so many that the index is used
        staff_client.create_patient_file(hospital.desk, pati_name=f"李{number}")
    found = staff_client.search_patients(hospital.desk, pati_name="王").data["list"]
    assert [one["pati_name"] for one in found] == RARE_NAMES[::-1]
    found = staff_client.search_patients(hospital.desk, pati_name="王𬭎").data["list"]
    assert [one["pati_name"] for one in found] == ["王𬭎"]


def test_search_for_a_part_of_a_name_finds_rare_characters_alone(hospital: Hospital) -> None:
    names = ["张𬭎医生", "张𬱟医生"]
    for number, name in enumerate(names):
        factories.create_staff(hospital.tenant_id, f"1390000010{number}", name, "doctor")
    for part, expected in (("张", names), ("𬭎", names[:1]), ("𬱟医", names[1:])):
        doctors = get(f"{STAFF_PATH}/doctor_list", hospital.lin.token, doctor_name=part, page_num=1, page_size=10)
        assert [one["doctor_name"] for one in doctors.data["list"]] == expected
        staff = get(f"{STAFF_PATH}/staff_list", hospital.admin.token, name=part)
        assert [one["name"] for one in staff.data["list"]] == expected


def test_search_for_the_name_of_a_correspondent_finds_rare_characters_alone(hospital: Hospital) -> None:
    for number, name in enumerate(["王🔴", "王🟢"]):
        person = factories.create_patient(hospital.tenant_id, f"1370000010{number}", name)
        factories.let_treat(hospital.chen, person)
        helpdesk_client.send_all(hospital.chen, person, "您好")
    for part, expected in (("王", ["王🟢", "王🔴"]), ("🔴", ["王🔴"]), ("🟢", ["王🟢"]), ("🔵", [])):
        found = helpdesk_client.list_conversations(hospital.chen, nameSearch=part).data
        assert [one["name"] for one in found] == expected


@pytest.mark.parametrize(("one", "other"), DIFFERENT_NAMES)
def test_different_names_of_labels_and_departments_can_be_saved(hospital: Hospital, one: str, other: str) -> None:
    for name in (one, other):
        for label_type in (GROUP, LABEL):
            assert staff_client.save_label(hospital.desk, name, label_type).status == 200
        assert post(f"{STAFF_PATH}/save_department", hospital.admin.token, name=name).status == 200
    assert post(f"{STAFF_PATH}/save_department", hospital.admin.token, name=one, order=9).status == 409


def test_different_skills_have_different_queues(hospital: Hospital) -> None:
    help_desk = HelpDesk(hospital)
    help_desk.create_post(hospital.chen, skill="内科𬭎", on_duty=False)
    help_desk.create_post(hospital.zhou, skill="内科𬱟", on_duty=False)
    for patient, skill in ((hospital.lin, "内科𬭎"), (hospital.wang, "内科𬱟")):
        assert helpdesk_client.get_agent_or_place(helpdesk_client.request_assignment(patient, skill)) == "1"
