"""Create a hospital with two patients, two doctors, service staff and an administrator.

A person's account and token are created when a test first uses them: most tests need one or two of the six.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from threading import RLock
from typing import Any, TypeVar

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import internal_keys, passwords, tokens
from chalicelib.people import account_phones, doctors, members, patients, staff, tenants
from chalicelib.people.patient_status import VerificationMethod
from chalicelib.people.patients import PatientDetails
from chalicelib.people.roles import Role
from chalicelib.staff import store

PASSWORD = "Demo-12345"
_PASSWORD_HASH = passwords.hash_password(PASSWORD)
_lock = RLock()
T = TypeVar("T")


class created_once(cached_property[T]):
    """A cached_property whose value is created once, even if two threads use it first at the same time."""

    def __get__(self, instance: Any, owner: Any = None) -> T:  # type: ignore[override]
        with _lock:
            value: T = super().__get__(instance, owner)
            return value


@dataclass(frozen=True)
class Person:
    """A patient or member of staff."""

    tenant_id: int
    user_id: int
    phone: str
    role: Role = Role.PATIENT
    member_id: int = 0

    @property
    def principal(self) -> str:
        return f"user:{self.user_id}"

    @created_once
    def token(self) -> str:
        return tokens.issue(self.tenant_id, self.principal, Role(self.role))

    def with_token(self, token: str) -> "Person":
        """Return the same person, signed in with this token."""
        person = replace(self)
        person.__dict__["token"] = token
        return person


@dataclass(frozen=True)
class Hospital:
    """A tenant with its people."""

    tenant_id: int

    @created_once
    def internal_key(self) -> str:
        return internal_keys.issue(self.tenant_id)

    def allow_keys_for_staff(self) -> None:
        """Let internal keys act for doctors and service staff."""
        tenants.set_keys_act_for_staff(mysql.autocommit, self.tenant_id, True)

    @created_once
    def lin(self) -> Person:
        return create_patient(self.tenant_id, "13800000001", "林小雨")

    @created_once
    def wang(self) -> Person:
        """Another patient."""
        return create_patient(self.tenant_id, "13800000002", "王强")

    @created_once
    def chen(self) -> Person:
        return create_staff(self.tenant_id, "13900000001", "陈医生", Role.DOCTOR)

    @created_once
    def zhou(self) -> Person:
        """Another doctor."""
        return create_staff(self.tenant_id, "13900000002", "周医生", Role.DOCTOR)

    @created_once
    def desk(self) -> Person:
        """Service staff."""
        return create_staff(self.tenant_id, "13900000003", "客服小李", Role.SERVICE_STAFF)

    @created_once
    def admin(self) -> Person:
        return create_staff(self.tenant_id, "13900000004", "管理员", Role.ADMIN)

    def everyone(self) -> list[Person]:
        """Return all six, and create those who do not exist yet."""
        return [self.lin, self.wang, self.chen, self.zhou, self.desk, self.admin]


def create_hospital(name: str = "仁和医院") -> Hospital:
    """Create a separate tenant, so that no test sees the rows of another one."""
    return Hospital(mysql.run_transaction(lambda tx: tenants.create(tx, name)))


def create_patient(tenant_id: int, phone: str, name: str) -> Person:
    def create(tx: Tx) -> tuple[int, int]:
        user_id = account_phones.create_account(tx, tenant_id, phone, _PASSWORD_HASH)
        birthday = date(date.today().year - 36, 1, 1)
        member = members.add(*(tx, tenant_id, user_id, name), gender=2, birthday=birthday, phone=phone, is_default=True)
        return user_id, member

    user_id, member_id = mysql.run_transaction(create)
    return Person(tenant_id, user_id, phone, Role.PATIENT, member_id)


def add_member(person: Person, name: str) -> int:
    return mysql.run_transaction(lambda tx: members.add(tx, person.tenant_id, person.user_id, name, cont_relation=4))


def create_patient_file(person: Person, name: str = "林小雨", is_verified: bool = True) -> int:
    """Create a patient file for a patient's own member and return its pati_id."""
    details = PatientDetails(name=name, gender=2, birthday=date(1990, 5, 17), phone=person.phone)

    def create(tx: Tx) -> int:
        pati_id = patients.insert_declared(tx, person.tenant_id, details, None, person.user_id)
        if is_verified:
            patients.mark_verified(tx, person.tenant_id, pati_id, VerificationMethod.FRONT_DESK, None, [])
        link = "UPDATE members SET pati_id = %(pati_id)s WHERE member_id = %(member_id)s"
        tx.execute(link, pati_id=pati_id, member_id=person.member_id)
        return pati_id

    return mysql.run_transaction(create)


def let_treat(doctor: Person, *patients: Person) -> None:
    """Let patients be a doctor's own today: their files are filed by the doctor."""
    for patient in patients:
        own = "UPDATE patients SET created_by = %(doctor_id)s WHERE pati_id = %(pati_id)s"
        mysql.autocommit.execute(own, doctor_id=doctor.user_id, pati_id=create_patient_file(patient))


def create_group(person: Person, name: str) -> int:
    """Create a group for patients and return its label_id."""
    return mysql.run_transaction(lambda tx: store.insert_label(tx, person.tenant_id, 1, name, person.user_id))


def create_staff(tenant_id: int, phone: str, name: str, role: str) -> Person:
    def create(tx: Tx) -> int:
        user_id = staff.create(tx, tenant_id, Role(role), phone, name, _PASSWORD_HASH)
        if role == Role.DOCTOR:
            doctors.ensure_profile(tx, tenant_id, user_id, duty_code="2")
        return user_id

    user_id = mysql.run_transaction(create)
    return Person(tenant_id, user_id, phone, Role(role))
