"""A hospital and the people every test knows: Lin, who is ill, Doctor Chen, who helps, and those who must not see."""

from dataclasses import dataclass
from datetime import date

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import internal_keys, passwords, tokens
from chalicelib.people import accounts, doctors, patients, staff, tenants
from chalicelib.people.patients import PatientDetails
from chalicelib.staff import store

PASSWORD = "Demo-12345"
_PASSWORD_HASH = passwords.hash_password(PASSWORD)


@dataclass(frozen=True)
class Person:
    tenant_id: int
    user_id: int
    phone: str
    token: str
    member_id: int = 0

    @property
    def principal(self) -> str:
        return f"user:{self.user_id}"


@dataclass(frozen=True)
class Hospital:
    tenant_id: int
    internal_key: str
    lin: Person  # a patient
    wang: Person  # another patient
    chen: Person  # a doctor
    zhou: Person  # another doctor
    desk: Person  # service staff
    admin: Person


def create_hospital(name: str = "仁和医院") -> Hospital:
    """Make a tenant of its own, so that no test sees another's rows."""
    tenant_id = mysql.run_transaction(lambda tx: tenants.create(tx, name))
    return Hospital(
        tenant_id,
        internal_keys.issue(tenant_id),
        create_patient(tenant_id, "13800000001", "林小雨"),
        create_patient(tenant_id, "13800000002", "王强"),
        create_staff(tenant_id, "13900000001", "陈医生", "doctor"),
        create_staff(tenant_id, "13900000002", "周医生", "doctor"),
        create_staff(tenant_id, "13900000003", "客服小李", "service_staff"),
        create_staff(tenant_id, "13900000004", "管理员", "admin"),
    )


def create_patient(tenant_id: int, phone: str, name: str) -> Person:
    def create(tx: Tx) -> tuple[int, int]:
        user_id = accounts.create(tx, tenant_id, phone, _PASSWORD_HASH)
        born = date(date.today().year - 36, 1, 1)
        member = accounts.add_member(
            *(tx, tenant_id, user_id, name), gender=2, birthday=born, phone=phone, is_default=True
        )
        return user_id, member

    user_id, member_id = mysql.run_transaction(create)
    return Person(tenant_id, user_id, phone, tokens.issue(tenant_id, f"user:{user_id}", "patient"), member_id)


def add_member(person: Person, name: str) -> int:
    return mysql.run_transaction(
        lambda tx: accounts.add_member(tx, person.tenant_id, person.user_id, name, cont_relation=4)
    )


def create_patient_file(person: Person, name: str = "林小雨") -> int:
    """Give a patient's own member a patient file; returns its pati_id."""
    details = PatientDetails(name=name, gender=2, birthday=date(1990, 5, 17), phone=person.phone)

    def create(tx: Tx) -> int:
        pati_id = patients.get_or_create(tx, person.tenant_id, details, person.user_id)
        link = "UPDATE members SET pati_id = %(pati_id)s WHERE member_id = %(member_id)s"
        tx.execute(link, pati_id=pati_id, member_id=person.member_id)
        return pati_id

    return mysql.run_transaction(create)


def create_group(person: Person, name: str) -> int:
    """Make a group for patients; returns its label_id."""
    return mysql.run_transaction(lambda tx: store.insert_label(tx, person.tenant_id, 1, name, person.user_id))


def create_staff(tenant_id: int, phone: str, name: str, role: str) -> Person:
    def create(tx: Tx) -> int:
        user_id = staff.create(tx, tenant_id, role, phone, name, _PASSWORD_HASH)
        if role == "doctor":
            doctors.ensure_profile(tx, tenant_id, user_id, duty_code="2")
        return user_id

    user_id = mysql.run_transaction(create)
    return Person(tenant_id, user_id, phone, tokens.issue(tenant_id, f"user:{user_id}", role))
