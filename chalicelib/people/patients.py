"""Patient files. Members of accounts refer to them.

A declared file says what an account, or staff without a document, entered; any number of them may claim one person. A
verified file is the only one of its person: see patient_documents.py. Writing and decrypting files needs the encryption
keys: load them before a transaction (field_encryption.preload_keys).
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError
from chalicelib.people import double_submission, names, patient_documents, phones
from chalicelib.people.documents import Document, Identity
from chalicelib.people.patient_status import PatientStatus, VerificationMethod

TABLE_NAME = "patients"
CONTACT_PHONE = "patients.cont"  # separates the contact's phone from the patient's in the ciphertexts of a row
CARD_NUMBER_LENGTH = 12
MAX_CARD_NUMBER_TRIES = 3  # of 10^12 numbers, a hospital uses millions


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDetails:
    """The details of a person that a patient file records, besides documents."""

    name: str
    gender: int
    birthday: date | None
    phone: str  # as phone_numbers.normalize returns it, "" for none
    province: str = ""
    city: str = ""
    county: str = ""
    address: str = ""
    cont_name: str = ""
    cont_relation: int | None = None
    cont_phone: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient file as stored; `decrypt_phone` and `decrypt_contact_phone` return its phones."""

    tenant_id: int
    pati_id: int
    name: str
    gender: int
    birthday: date | None
    phone_sealed: bytes | None
    phone_blind: bytes | None
    phone_unconfirmed_since: int | None  # see patient_status.py
    province: str
    city: str
    county: str
    address: str
    cont_name: str
    cont_relation: int | None
    cont_phone_sealed: bytes | None
    photo_key: str
    trea_id: int | None
    status: PatientStatus
    card_no: str | None
    merged_into: int | None
    verified_at: int | None
    verified_how: str  # a VerificationMethod, or ""
    stored_at: int | None  # since when the file is in storage
    description: str  # of the person of a temporary file
    created_by: int | None
    created_at: int


def insert_declared(
    tx: Tx,
    tenant_id: int,
    details: PatientDetails,
    document: Document | None,
    created_by: int | None,
    *,
    idempotency_key: str | None = None,
    status: PatientStatus = PatientStatus.DECLARED,
) -> int:
    """Insert a file that is not verified and return its pati_id. Which other files exist makes no difference.

    Raises:
        mysql.DuplicateKeyError: key "idempotency_key" if the same person has created another file with this key.
    """
    pati_id = tx.insert(
        """
        INSERT INTO patients
            (tenant_id, name, name_key, gender, birthday, phone_blind, province, city, county, address, cont_name,
             cont_relation, status, created_by, idempotency_key, created_at, changed_at)
        VALUES
            (%(tenant_id)s, %(name)s, %(name_key)s, %(gender)s, %(birthday)s, %(phone_blind)s, %(province)s, %(city)s,
             %(county)s, %(address)s, %(cont_name)s, %(cont_relation)s, %(status)s, %(created_by)s,
             %(idempotency_key)s, %(now)s, %(now)s)
        """,
        **_build_columns(tenant_id, details),
        tenant_id=tenant_id,
        status=status,
        created_by=created_by,
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        now=clock.now(),
    )
    if details.phone or details.cont_phone:  # ciphertexts are bound to the row id, which is only known after the insert
        tx.execute(
            """
            UPDATE patients SET phone_sealed = %(phone_sealed)s, cont_phone_sealed = %(cont_phone_sealed)s
            WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
            """,
            **_seal_phones(tenant_id, pati_id, details),
            pati_id=pati_id,
            tenant_id=tenant_id,
        )
    if document:
        patient_documents.insert(tx, tenant_id, pati_id, document, created_by, is_primary=True)
    return pati_id


def insert_verified(
    tx: Tx,
    tenant_id: int,
    details: PatientDetails,
    document: Document,
    created_by: int | None,
    how: VerificationMethod = VerificationMethod.FRONT_DESK,
    *,
    idempotency_key: str | None = None,
) -> int:
    """Insert a verified file and return its pati_id.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file has the document's identity, "idempotency_key"
            if the same person has created another file with this key.
    """
    pati_id = insert_declared(tx, tenant_id, details, document, created_by, idempotency_key=idempotency_key)
    mark_verified(tx, tenant_id, pati_id, how, created_by, [document.identity])
    return pati_id


def mark_verified(
    tx: Tx,
    tenant_id: int,
    pati_id: int,
    how: VerificationMethod,
    verified_by: int | None,
    identities: Iterable[Identity],
) -> None:
    """Verify a declared or temporary file, which gets a card number. The caller has locked it.

    Args:
        identities: of the documents that proved it.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file has one of the identities.
    """
    patient_documents.claim_identities(tx, tenant_id, pati_id, identities)
    tx.execute(
        """
        UPDATE patients
        SET status = %(verified)s, verified_at = %(now)s, verified_by = %(verified_by)s, verified_how = %(how)s,
            changed_at = %(now)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
        """,
        verified=PatientStatus.VERIFIED,
        now=clock.now(),
        verified_by=verified_by,
        how=how,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    if get(tx, tenant_id, pati_id).card_no is None:
        assign_card_number(tx, tenant_id, pati_id)


def mark_declared(tx: Tx, tenant_id: int, pati_id: int) -> bool:
    """Take the verification from a file that owns no identity any more; return False if it has none.

    Call `member_moves.remove_verification`, which also lets its bookings count against the account.
    """
    changed = tx.execute(
        """
        UPDATE patients
        SET status = %(declared)s, verified_at = NULL, verified_by = NULL, verified_how = '', changed_at = %(now)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s AND status = %(verified)s
        """,
        declared=PatientStatus.DECLARED,
        verified=PatientStatus.VERIFIED,
        now=clock.now(),
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return changed > 0


def assign_card_number(tx: Tx, tenant_id: int, pati_id: int) -> str:
    """Give a file a new random number for its visit card, and return it. A former number is no longer valid."""
    tries = MAX_CARD_NUMBER_TRIES
    while True:
        card_no = f"{secrets.randbelow(10**CARD_NUMBER_LENGTH):0{CARD_NUMBER_LENGTH}}"
        try:
            tx.execute(
                "UPDATE patients SET card_no = %(card_no)s WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s",
                card_no=card_no,
                pati_id=pati_id,
                tenant_id=tenant_id,
            )
            return card_no
        except mysql.DuplicateKeyError:
            tries -= 1
            if not tries:
                raise


def list_double_submissions(tx: Tx, tenant_id: int, details: PatientDetails, created_by: int) -> list[int]:
    """Return the unverified files with these details that a person has just created without an idempotency key.

    Lock the person before (double_submission.lock_sender).
    """
    rows = tx.fetch_all(
        f"""
        {_SELECT_PATIENT_SQL}
        WHERE tenant_id = %(tenant_id)s AND name_key = %(name_key)s AND created_by = %(created_by)s
          AND created_at > %(since)s AND idempotency_key IS NULL AND status = %(declared)s
        """,
        declared=PatientStatus.DECLARED,
        tenant_id=tenant_id,
        name_key=names.build_key(details.name),
        created_by=created_by,
        since=clock.now() - double_submission.WINDOW,
    )
    found = [_require_patient(row) for row in rows]
    return [patient.pati_id for patient in found if get_details(patient) == details]


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


def find_current_id(tx: Tx, tenant_id: int, pati_id: int) -> int | None:
    """Return the pati_id of a file, or of the one that replaces it after merges; None if the tenant has no such file.

    A bar code that was printed before the merge names the merged file.
    """
    return _find_current(tx, "pati_id = %(pati_id)s", tenant_id=tenant_id, pati_id=pati_id)


def find_by_card(tx: Tx, tenant_id: int, card_no: str) -> int | None:
    """Return the pati_id of the file with a card, or of the one that replaces it after merges; None if there is none.

    One statement, however many merges there are: its duration reveals nothing about a card.
    """
    return _find_current(tx, "card_no = %(card_no)s", tenant_id=tenant_id, card_no=card_no)


def _find_current(tx: Tx, condition: str, **params: Any) -> int | None:
    pati_id: int | None = tx.fetch_value(
        f"""
        WITH RECURSIVE replacing AS (
            SELECT pati_id, merged_into FROM patients WHERE {condition} AND tenant_id = %(tenant_id)s
            UNION ALL
            SELECT p.pati_id, p.merged_into FROM replacing r
            JOIN patients p ON p.pati_id = r.merged_into AND p.tenant_id = %(tenant_id)s
        )
        SELECT pati_id FROM replacing WHERE merged_into IS NULL
        """,
        **params,
    )
    return pati_id


_SELECT_PATIENT_SQL = """
    SELECT tenant_id, pati_id, name, gender, birthday, phone_sealed, phone_blind, phone_unconfirmed_since, province,
           city, county, address, cont_name, cont_relation, cont_phone_sealed, photo_key, trea_id, status, card_no,
           merged_into, verified_at, verified_how, stored_at, description, created_by, created_at
    FROM patients
"""


def _require_patient(row: Row | None) -> Patient:
    if row is None:
        raise ApiError(errors.NOT_FOUND, "患者不存在")
    return Patient(**{**row, "photo_key": row["photo_key"].decode(), "status": PatientStatus(row["status"])})


def decrypt_phone(patient: Patient) -> str:
    """Return the phone of a file, "" if it has none."""
    return phones.unseal(patient.tenant_id, TABLE_NAME, patient.pati_id, patient.phone_sealed)


def decrypt_contact_phone(patient: Patient) -> str:
    """Return the phone of a file's contact person, "" if it has none."""
    return phones.unseal(patient.tenant_id, CONTACT_PHONE, patient.pati_id, patient.cont_phone_sealed)


def get_details(patient: Patient) -> PatientDetails:
    """Return the details of a file."""
    names_of_fields = PatientDetails.__dataclass_fields__.keys() - {"phone", "cont_phone"}
    return PatientDetails(
        **{name: getattr(patient, name) for name in names_of_fields},
        phone=decrypt_phone(patient),
        cont_phone=decrypt_contact_phone(patient),
    )


def update(tx: Tx, tenant_id: int, pati_id: int, details: PatientDetails) -> None:
    """Write all details of a file.

    Raises:
        ApiError: 404 if the tenant has no such file.
    """
    changed = tx.execute(
        """
        UPDATE patients
        SET name = %(name)s, name_key = %(name_key)s, gender = %(gender)s, birthday = %(birthday)s,
            phone_sealed = %(phone_sealed)s, phone_blind = %(phone_blind)s, province = %(province)s, city = %(city)s,
            county = %(county)s, address = %(address)s, cont_name = %(cont_name)s, cont_relation = %(cont_relation)s,
            cont_phone_sealed = %(cont_phone_sealed)s, changed_at = %(now)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
        """,
        **_build_columns(tenant_id, details),
        **_seal_phones(tenant_id, pati_id, details),
        now=clock.now(),
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
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


def _build_columns(tenant_id: int, details: PatientDetails) -> dict[str, Any]:
    columns = {name: getattr(details, name) for name in PatientDetails.__dataclass_fields__}
    phone = columns.pop("phone")
    del columns["cont_phone"]
    columns["name_key"] = names.build_key(details.name)
    columns["phone_blind"] = phones.compute_blind_index(tenant_id, phone) if phone else None
    return columns


def _seal_phones(tenant_id: int, pati_id: int, details: PatientDetails) -> dict[str, bytes | None]:
    return {
        "phone_sealed": phones.seal(tenant_id, TABLE_NAME, pati_id, details.phone),
        "cont_phone_sealed": phones.seal(tenant_id, CONTACT_PHONE, pati_id, details.cont_phone),
    }
