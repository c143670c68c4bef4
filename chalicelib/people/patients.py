"""Patient files: one for each person in a tenant, found by ID number. Members of accounts refer to them."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.people import double_submission

TABLE_NAME = "patients"
ID_CARD_TYPE = "99"  # 身份证


class PatientStatus(StrEnum):
    """patients.status."""

    DECLARED = "declared"  # by an account or without a document in hand
    VERIFIED = "verified"
    TEMPORARY = "temporary"  # of a person whose name is not known
    MERGED = "merged"  # replaced by the file patients.merged_into


@dataclass(frozen=True, slots=True)
class IdNumber:
    """The number of an identity document, with its blind index for equality searches."""

    id_type: str
    number: str
    blind_index: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDetails:
    """The details of a person that a patient file records."""

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
    """A patient file as stored; get_id_number decrypts its ID number."""

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
    """Compute the blind index of a number to store or search. Not inside a transaction: see crypto/field_encryption.py.

    Args:
        number: the result of id_cards.normalize, or the number of another document.
        kind: type of the document; 01 is an alias of 99.
    """
    kind = ID_CARD_TYPE if kind == "01" else kind
    return IdNumber(kind, number, field_encryption.compute_blind_index(tenant_id, f"id:{kind}", number))


def get_or_create(
    tx: Tx, tenant_id: int, details: PatientDetails, created_by: int, idempotency_key: str | None = None
) -> int:
    """Return the pati_id of the file with this ID number, or of a new file; without a number always of a new one.

    An existing file is left unchanged.

    Raises:
        ApiError: 409 if the file with this number has another name.
        mysql.DuplicateKeyError: key "idempotency_key" if this request has already created a file.
    """
    pati_id = find_by_id_number(tx, tenant_id, details.name, details.id_number)
    if pati_id:
        return pati_id
    try:
        return _insert(tx, tenant_id, details, created_by, idempotency_key)
    except mysql.DuplicateKeyError as error:
        if error.key != "id_number":
            raise
        # A concurrent transaction has inserted a file with the same number.
        pati_id = find_by_id_number(tx, tenant_id, details.name, details.id_number)
        if not pati_id:
            raise
        return pati_id


def find_by_id_number(tx: Tx, tenant_id: int, name: str, id_number: IdNumber | None) -> int | None:
    """Return the pati_id of the file with this number, or None.

    Raises:
        ApiError: 409 if the file has another name.
    """
    if id_number is None:
        return None
    row = tx.fetch_one(
        """
        SELECT pati_id, name FROM patients
        WHERE tenant_id = %(tenant_id)s AND id_type = %(id_type)s AND id_blind = %(id_blind)s
        """,
        tenant_id=tenant_id,
        id_type=id_number.id_type,
        id_blind=id_number.blind_index,
    )
    if row and row["name"] != name:
        raise ApiError(errors.CONFLICT, "该证件号码已用另一姓名建档")
    return int(row["pati_id"]) if row else None


def list_double_submissions(tx: Tx, tenant_id: int, details: PatientDetails, created_by: int) -> list[int]:
    """Return the files with these details and no ID number that a person has just created without an idempotency key.

    Lock the person before (double_submission.lock_sender).
    """
    rows = tx.fetch_all(
        f"""
        {_SELECT_PATIENT_SQL}
        WHERE tenant_id = %(tenant_id)s AND name = %(name)s AND created_by = %(created_by)s
          AND created_at > %(since)s AND idempotency_key IS NULL AND id_blind IS NULL
        """,
        tenant_id=tenant_id,
        name=details.name,
        created_by=created_by,
        since=clock.now() - double_submission.WINDOW,
    )
    columns = {name: value for name, value in _build_columns(details).items() if name != "id_blind"}
    return [row["pati_id"] for row in rows if columns == {name: row[name] for name in columns}]


def get(tx: Tx, tenant_id: int, pati_id: int, for_update: bool = False) -> Patient:
    """Return a file; `for_update` locks its row until the end of the transaction.

    Raises:
        ApiError: 404 if the tenant has no such file.
    """
    row = tx.fetch_one(
        f"""
        {_SELECT_PATIENT_SQL}
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s {"FOR UPDATE" if for_update else ""}
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return _require_patient(row)


def get_by_idempotency_key(tx: Tx, tenant_id: int, created_by: int, idempotency_key: str) -> Patient:
    """Return the file that a user created with this idempotency key.

    Raises:
        ApiError: 404 if there is none.
    """
    row = tx.fetch_one(
        f"""
        {_SELECT_PATIENT_SQL}
        WHERE tenant_id = %(tenant_id)s AND created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        created_by=created_by,
        idempotency_key=idempotency_key.encode(),
    )
    return _require_patient(row)


_SELECT_PATIENT_SQL = """
    SELECT tenant_id, pati_id, name, gender, birthday, phone, id_type, id_sealed, province, city, county, address,
           cont_name, cont_relation, cont_phone, photo_key, trea_id, created_at
    FROM patients
"""


def _require_patient(row: Row | None) -> Patient:
    if row is None:
        raise ApiError(errors.NOT_FOUND, "患者不存在")
    return Patient(**{**row, "photo_key": row["photo_key"].decode()})


def get_id_number(patient: Patient) -> str:
    """Return the decrypted ID number of a file, "" if it has none."""
    return decrypt_id_number(patient.tenant_id, patient.pati_id, patient.id_sealed)


def decrypt_id_number(tenant_id: int, pati_id: int, id_sealed: bytes | None) -> str:
    """Return the ID number from patients.id_sealed, "" for None."""
    return field_encryption.decrypt(tenant_id, TABLE_NAME, pati_id, id_sealed) if id_sealed else ""


def update(tx: Tx, tenant_id: int, pati_id: int, details: PatientDetails) -> None:
    """Write all details of a file.

    Raises:
        ApiError: 404 if the tenant has no such file, 409 if another file has the ID number.
    """
    id_number = details.id_number
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
            id_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, pati_id, id_number.number) if id_number else None,
            now=clock.now(),
            pati_id=pati_id,
            tenant_id=tenant_id,
        )
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该证件号码已建档") from None
    if not changed:
        raise ApiError(errors.NOT_FOUND, "患者不存在")


def set_latest_visit(tx: Tx, tenant_id: int, pati_id: int, trea_id: int) -> None:
    """Set the latest registered visit of a file."""
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
    if details.id_number:  # the ciphertext is bound to the row id, which is only known after the insert
        tx.execute(
            "UPDATE patients SET id_sealed = %(id_sealed)s WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s",
            id_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, pati_id, details.id_number.number),
            pati_id=pati_id,
            tenant_id=tenant_id,
        )
    return pati_id


def _build_columns(details: PatientDetails) -> dict[str, Any]:
    id_number = details.id_number
    return {
        "name": details.name,
        "gender": details.gender,
        "birthday": details.birthday,
        "phone": details.phone,
        "id_type": id_number.id_type if id_number else "",
        "id_blind": id_number.blind_index if id_number else None,
        "province": details.province,
        "city": details.city,
        "county": details.county,
        "address": details.address,
        "cont_name": details.cont_name,
        "cont_relation": details.cont_relation,
        "cont_phone": details.cont_phone,
    }
