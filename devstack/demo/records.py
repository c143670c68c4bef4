"""Records of a demo hospital: departments, doctors' profiles, groups and labels, a file for each patient."""

from dataclasses import replace

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.people import departments, doctors, documents, guardians, id_cards, members, patients, phones
from chalicelib.people.doctors import Profile
from chalicelib.people.documents import IdType
from chalicelib.people.guardians import Guardian
from chalicelib.people.members import Relation
from chalicelib.people.patients import PatientDetails
from chalicelib.people.roles import Role
from chalicelib.staff import labels, store
from chalicelib.staff.labels import LabelKind

DEPARTMENTS = ["呼吸内科", "儿科", "口腔科"]
PROFILES = {
    "陈医生": Profile(duty_code="4", expert="咳嗽、哮喘与肺部感染", introduction="从医二十年。", sort=1),
    "周医生": Profile(duty_code="2", expert="儿童发热与腹泻", introduction="耐心，细致。", sort=2),
}
SMALL_CHILD_BORN_SINCE = 2020  # the year of birth of demo patients who have a guardian
LABELS = {LabelKind.GROUP: ["慢病随访", "术后随访"], LabelKind.LABEL: ["高血压", "糖尿病", "哮喘"]}


def seed(tenant_id: int, by: int) -> None:
    """Create what is missing, as the member of staff `by`."""
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _seed(tx, tenant_id, by))


def _seed(tx: Tx, tenant_id: int, by: int) -> None:
    if not departments.list_all(tx, tenant_id):
        _save_profiles(
            tx, tenant_id, [departments.create(tx, tenant_id, name, at) for at, name in enumerate(DEPARTMENTS)]
        )
        for label_type, names in LABELS.items():
            for name in names:
                store.insert_label(tx, tenant_id, label_type, name, by)
    for number, member in enumerate(_list_members_without_file(tx, tenant_id)):
        _create_patient_file(tx, tenant_id, by, member, number)


def _save_profiles(tx: Tx, tenant_id: int, dept_ids: list[int]) -> None:
    named = {row["name"]: row["user_id"] for row in _list_doctors(tx, tenant_id)}
    for (name, profile), dept_id in zip(PROFILES.items(), dept_ids, strict=False):
        doctors.update(tx, tenant_id, named[name], replace(profile, dept_id=dept_id))


def _list_doctors(tx: Tx, tenant_id: int) -> list[Row]:
    sql = "SELECT user_id, name FROM staff WHERE tenant_id = %(id)s AND role = %(doctor)s"
    return tx.fetch_all(sql, id=tenant_id, doctor=Role.DOCTOR)


def _list_members_without_file(tx: Tx, tenant_id: int) -> list[Row]:
    return tx.fetch_all(
        """
        SELECT m.member_id, m.user_id, m.name, m.gender, m.birthday, m.phone_sealed FROM members m
        WHERE m.tenant_id = %(tenant_id)s AND m.pati_id IS NULL AND m.birthday IS NOT NULL ORDER BY m.member_id
        """,
        tenant_id=tenant_id,
    )


def _create_patient_file(tx: Tx, tenant_id: int, by: int, member: Row, number: int) -> None:
    """Create a verified file with an unassigned number: no administrative division begins with 11019."""
    digits = f"110199{member['birthday']:%Y%m%d}{number:02}{member['gender']}"
    id_number = digits + id_cards.compute_check_character(digits)
    phone = phones.unseal(tenant_id, members.TABLE_NAME, member["member_id"], member["phone_sealed"])
    details = PatientDetails(
        name=member["name"],
        gender=member["gender"],
        birthday=member["birthday"],
        phone=phone,
        province="北京市",
        city="北京市",
        county="朝阳区",
    )
    document = documents.build_document(tenant_id, IdType.RESIDENT_CARD, id_number)
    pati_id = patients.insert_verified(tx, tenant_id, details, document, by)
    if member["birthday"].year >= SMALL_CHILD_BORN_SINCE:
        guardian = Guardian(
            name="林小雨", id_type=IdType.PASSPORT, number="E12345678", phone=phone, cont_relation=Relation.PARENT
        )
        guardians.save(tx, tenant_id, pati_id, guardian, by)
    link = "UPDATE members SET pati_id = %(pati_id)s WHERE member_id = %(member_id)s"
    tx.execute(link, pati_id=pati_id, member_id=member["member_id"])
    for label_type in LABELS:
        (first, *_) = store.list_labels(tx, tenant_id, label_type)
        labels.set_patient_labels(tx, tenant_id, pati_id, label_type, [first.label_id])
