"""Patient files: one for each person of a hospital, found by ID number. Accounts' members are linked to them."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError

TABLE_NAME = "patients"
ID_CARD_TYPE = "99"  # 身份证


@dataclass(frozen=True, slots=True)
class IdNumber:
    """A document's number and what it is found by."""

    id_type: str
    number: str
    blind_index: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDetails:
    """What a file says of a person."""

    name: str
    gender: int
    birthday: date | None
    phone: str
    id_number: IdNumber | None = None
    province: str = ""
    city: str = ""
    county: str = ""
    address: str = ""
    cont_name: str = ""
    cont_relation: int | None = None
    cont_phone: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """A file as it is stored; number_of() opens its ID number."""

    tenant_id: int
    pati_id: int
    name: str
    gender: int
    birthday: date | None
    phone: str
    id_type: str
    id_sealed: bytes | None
    province: str
    city: str
    county: str
    address: str
    cont_name: str
    cont_relation: int | None
    cont_phone: str
    photo_key: str
    trea_id: int | None
    created_at: int


def build_id_number(tenant_id: int, number: str, kind: str = ID_CARD_TYPE) -> IdNumber:
    """Make a number ready to be filed or looked up. To be called before a transaction: see crypto/field_encryption.py.

    `kind` 01 is 99 by another name; the number is one that id_cards.checked returned, or another document's.
    """
    kind = ID_CARD_TYPE if kind == "01" else kind
    return IdNumber(kind, number, field_encryption.compute_blind_index(tenant_id, f"id:{kind}", number))


def get_or_create(
    tx: Tx, tenant_id: int, details: PatientDetails, created_by: int, idempotency_key: str | None = None
) -> int:
    """Return the pati_id of the person with this ID number, filed now if need be; without a number always a new one.

    ApiError 409 where the number is filed under another name. What a found file says stays as it is.
    """
    found = find_by_id_number(tx, tenant_id, details.name, details.id_number)
    if found:
        return found
    try:
        return _insert(tx, tenant_id, details, created_by, idempotency_key)
    except mysql.DuplicateKeyError as duplicate:  # somebody else filed the same number meanwhile
        found = (
            find_by_id_number(tx, tenant_id, details.name, details.id_number) if duplicate.key == "id_number" else None
        )
        if not found:
            raise
        return found


def find_by_id_number(tx: Tx, tenant_id: int, name: str, known: IdNumber | None) -> int | None:
    """Return the pati_id of the file with this number. ApiError 409 where it is filed under another name."""
    if known is None:
        return None
    row = tx.fetch_one(
        """
        SELECT pati_id, name FROM patients
        WHERE tenant_id = %(tenant_id)s AND id_type = %(id_type)s AND id_blind = %(id_blind)s
        """,
        tenant_id=tenant_id,
        id_type=known.id_type,
        id_blind=known.blind_index,
    )
    if row and row["name"] != name:
        raise ApiError(errors.CONFLICT, "该证件号码已用另一姓名建档")
    return int(row["pati_id"]) if row else None


def get(tx: Tx, tenant_id: int, pati_id: int, to_change: bool = False) -> Patient:
    """Return a file, locked until the commit where it is to be changed. ApiError 404 where the tenant has none."""
    row = tx.fetch_one(
        f"""
        {SELECT_PATIENT_SQL}
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s {"FOR UPDATE" if to_change else ""}
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return _require_patient(row)


def get_by_idempotency_key(tx: Tx, tenant_id: int, created_by: int, idempotency_key: str) -> Patient:
    """Return the file that somebody made with this idempotency key."""
    row = tx.fetch_one(
        f"""
        {SELECT_PATIENT_SQL}
        WHERE tenant_id = %(tenant_id)s AND created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        created_by=created_by,
        idempotency_key=idempotency_key.encode(),
    )
    return _require_patient(row)


SELECT_PATIENT_SQL = """
    SELECT tenant_id, pati_id, name, gender, birthday, phone, id_type, id_sealed, province, city, county, address,
           cont_name, cont_relation, cont_phone, photo_key, trea_id, created_at
    FROM patients
"""


def _require_patient(row: Row | None) -> Patient:
    if row is None:
        raise ApiError(errors.NOT_FOUND, "患者不存在")
    return Patient(**{**row, "photo_key": row["photo_key"].decode()})


def get_id_number(patient: Patient) -> str:
    """Return the whole ID number, "" where the file has none."""
    return decrypt_id_number(patient.tenant_id, patient.pati_id, patient.id_sealed)


def decrypt_id_number(tenant_id: int, pati_id: int, id_sealed: bytes | None) -> str:
    return field_encryption.decrypt(tenant_id, TABLE_NAME, pati_id, id_sealed) if id_sealed else ""


def update(tx: Tx, tenant_id: int, pati_id: int, details: PatientDetails) -> None:
    """Replace what a file says. ApiError 404 for another tenant's, 409 where another file has the ID number."""
    known = details.id_number
    try:
        changed = tx.execute(
            """
            UPDATE patients
            SET name = %(name)s, gender = %(gender)s, birthday = %(birthday)s, phone = %(phone)s, id_type = %(id_type)s,
                id_sealed = %(id_sealed)s, id_blind = %(id_blind)s, province = %(province)s, city = %(city)s,
                county = %(county)s, address = %(address)s, cont_name = %(cont_name)s,
                cont_relation = %(cont_relation)s, cont_phone = %(cont_phone)s, changed_at = %(now)s
            WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
            """,
            **_build_columns(details),
            id_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, pati_id, known.number) if known else None,
            now=clock.now(),
            pati_id=pati_id,
            tenant_id=tenant_id,
        )
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该证件号码已建档") from None
    if not changed:
        raise ApiError(errors.NOT_FOUND, "患者不存在")


def set_latest_visit(tx: Tx, tenant_id: int, pati_id: int, trea_id: int) -> None:
    """Note the latest registered visit."""
    tx.execute(
        "UPDATE patients SET trea_id = %(trea_id)s WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s",
        trea_id=trea_id,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )


def _insert(tx: Tx, tenant_id: int, details: PatientDetails, created_by: int, idempotency_key: str | None) -> int:
    pati_id = tx.insert(
        """
        INSERT INTO patients
            (tenant_id, name, gender, birthday, phone, id_type, id_blind, province, city, county, address,
             cont_name, cont_relation, cont_phone, created_by, idempotency_key, created_at, changed_at)
        VALUES
            (%(tenant_id)s, %(name)s, %(gender)s, %(birthday)s, %(phone)s, %(id_type)s, %(id_blind)s, %(province)s,
             %(city)s, %(county)s, %(address)s, %(cont_name)s, %(cont_relation)s, %(cont_phone)s, %(created_by)s,
             %(idempotency_key)s, %(now)s, %(now)s)
        """,
        **_build_columns(details),
        tenant_id=tenant_id,
        created_by=created_by,
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        now=clock.now(),
    )
    if details.id_number:  # sealed for its row, so the row must be there first
        tx.execute(
            "UPDATE patients SET id_sealed = %(id_sealed)s WHERE pati_id = %(pati_id)s",
            id_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, pati_id, details.id_number.number),
            pati_id=pati_id,
        )
    return pati_id


def _build_columns(details: PatientDetails) -> dict[str, Any]:
    known = details.id_number
    return {
        "name": details.name,
        "gender": details.gender,
        "birthday": details.birthday,
        "phone": details.phone,
        "id_type": known.id_type if known else "",
        "id_blind": known.blind_index if known else None,
        "province": details.province,
        "city": details.city,
        "county": details.county,
        "address": details.address,
        "cont_name": details.cont_name,
        "cont_relation": details.cont_relation,
        "cont_phone": details.cont_phone,
    }
