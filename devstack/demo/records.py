"""Records of a demo hospital: departments, doctors' profiles, groups and labels, a file for each patient."""

from dataclasses import replace

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.people import departments, doctors, id_cards, patients
from chalicelib.people.doctors import Profile
from chalicelib.people.patients import PatientDetails, PatientStatus
from chalicelib.people.roles import Role
from chalicelib.staff import labels, store
from chalicelib.staff.labels import LabelKind

DEPARTMENTS = ["呼吸内科", "儿科", "口腔科"]
PROFILES = {
    "陈医生": Profile(duty_code="4", expert="咳嗽、哮喘与肺部感染", introduction="从医二十年。", sort=1),
    "周医生": Profile(duty_code="2", expert="儿童发热与腹泻", introduction="耐心，细致。", sort=2),
}
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
        SELECT member_id, user_id, name, gender, birthday, phone FROM members
        WHERE tenant_id = %(tenant_id)s AND pati_id IS NULL AND birthday IS NOT NULL ORDER BY member_id
        """,
        tenant_id=tenant_id,
    )


def _create_patient_file(tx: Tx, tenant_id: int, by: int, member: Row, number: int) -> None:
    """Create a patient file with an unassigned id number: no administrative division begins with 11019."""
    digits = f"110199{member['birthday']:%Y%m%d}{number:02}{member['gender']}"
    details = PatientDetails(
        name=member["name"],
        gender=member["gender"],
        birthday=member["birthday"],
        phone=member["phone"],
        id_number=patients.build_id_number(tenant_id, digits + id_cards.compute_check_character(digits)),
        province="北京市",
        city="北京市",
        county="朝阳区",
    )
    pati_id = patients.get_or_create(tx, tenant_id, details, by)
    verify = "UPDATE patients SET status = %(verified)s WHERE pati_id = %(pati_id)s"
    tx.execute(verify, verified=PatientStatus.VERIFIED, pati_id=pati_id)
    link = "UPDATE members SET pati_id = %(pati_id)s WHERE member_id = %(member_id)s"
    tx.execute(link, pati_id=pati_id, member_id=member["member_id"])
    for label_type in LABELS:
        (first, *_) = store.list_labels(tx, tenant_id, label_type)
        labels.set_patient_labels(tx, tenant_id, pati_id, label_type, [first.label_id])
