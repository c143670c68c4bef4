"""Patient files for staff. Each read and change is entered into the access log in the same transaction."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import documents, formatting, guardians, names, patient_documents, patients, phones
from chalicelib.people.guardians import Guardian
from chalicelib.people.patient_documents import StoredDocument
from chalicelib.people.patient_status import PatientStatus
from chalicelib.people.patients import Patient
from chalicelib.staff import file_access, list_store, patient_saving, store
from chalicelib.staff.labels import LabelKind
from chalicelib.staff.list_store import AccessEntry, PatientSummary
from chalicelib.staff.patient_models import (
    Access,
    AccessLogQuery,
    ListedPatient,
    PatientDocument,
    PatientGuardian,
    PatientInfo,
    PatientListQuery,
    PatientQuery,
)
from chalicelib.staff.store import AccessAction, LabelRecord


@dataclass(frozen=True, slots=True)
class PatientFile:
    """A patient file with what belongs to it."""

    patient: Patient
    documents: list[StoredDocument]
    guardian: Guardian | None
    labels: list[LabelRecord]


def get_info(caller: Caller, query: PatientQuery) -> PatientInfo:
    """Return a file unmasked and enter the access into the log.

    Raises:
        ApiError: 404 if the tenant has no such file; 403 (REASON_REQUIRED) if the caller may open it for a reason only.
    """
    field_encryption.preload_keys()
    file = mysql.run_transaction(lambda tx: _get_and_log_access(tx, caller, query))
    return _build_info(caller, file)


def search(caller: Caller, query: PatientListQuery) -> Page[ListedPatient]:
    """Return a page of files, with masked phone numbers.

    A doctor finds their own patients; for a reason, which is logged, those of the hospital.
    """
    field_encryption.preload_keys()
    logs = caller.role == Role.DOCTOR and bool(query.reason)
    run = mysql.run_transaction if logs else mysql.run_autocommit
    total, found = run(lambda tx: _search_and_log(tx, caller, query))
    listed = [_build_listed_patient(caller.tenant_id, patient) for patient in found]
    return Page[ListedPatient].build(query, total, listed)


def _search_and_log(tx: Tx, caller: Caller, query: PatientListQuery) -> tuple[int, list[PatientSummary]]:
    tenant_id, is_doctor = caller.tenant_id, caller.role == Role.DOCTOR
    if is_doctor and query.reason:
        file_access.log_search(tx, caller, query.reason)
    pati_id = query.pati_id and (patients.find_current_id(tx, tenant_id, query.pati_id) or query.pati_id)
    if query.card_no:
        holder = patients.find_by_card(tx, tenant_id, query.card_no)
        if holder is None or pati_id not in (None, holder):
            return 0, []
        pati_id = holder
    return list_store.list_patients(
        tx,
        tenant_id,
        name_key=names.build_key(query.pati_name or ""),
        phone_blind=phones.compute_blind_index(tenant_id, query.pati_phone) if query.pati_phone else None,
        identities=_list_identities(tenant_id, query),
        pati_id=pati_id,
        label_id=query.label_id,
        doctor_id=caller.user_id if is_doctor and not query.reason else None,
        limits=(query.offset, query.page_size),
    )


def list_accesses(caller: Caller, query: AccessLogQuery) -> Page[Access]:
    """Return a page of the access log."""
    limits = (query.offset, query.page_size)
    total, found = list_store.list_accesses(
        mysql.autocommit, caller.tenant_id, query.pati_id, query.user_id, query.break_glass, limits
    )
    return Page[Access].build(query, total, [_build_access(entry) for entry in found])


def _get_and_log_access(tx: Tx, caller: Caller, query: PatientQuery) -> PatientFile:
    patient = patients.get(tx, caller.tenant_id, query.pati_id)
    file_access.open_file(tx, caller, patient, AccessAction.READ, query.reason)
    return PatientFile(
        patient,
        patient_documents.list_of_patient(tx, caller.tenant_id, query.pati_id),
        guardians.find(tx, caller.tenant_id, query.pati_id),
        store.list_patient_labels(tx, query.pati_id),
    )


def _list_identities(tenant_id: int, query: PatientListQuery) -> list[bytes] | None:
    """Return the identities of the documents that the number of a query may be of, None for a query without one."""
    number = query.pati_id_number.strip()
    if not number:
        return None
    id_type = patient_saving.parse_protocol_type(query.pati_id_type, "pati_id_type") if query.pati_id_type else None
    return [one.identity_blind for one in documents.list_possible_documents(tenant_id, number, id_type)]


def _build_info(caller: Caller, file: PatientFile) -> PatientInfo:
    patient, sees_cards = file.patient, caller.role != Role.DOCTOR
    group = next((label for label in file.labels if label.label_type == LabelKind.GROUP), None)
    shown = [_build_document(document) for document in file.documents]
    address_parts = (patient.province, patient.city, patient.county, patient.address)
    return PatientInfo(
        pati_id=str(patient.pati_id),
        pati_name=patient.name,
        pati_gender=patient.gender,
        pati_birthday=_format_day(patient.birthday),
        pati_age=formatting.format_age(_format_day(patient.birthday), clock.today()),
        pati_phone=patients.decrypt_phone(patient),
        phone_confirmed=patient.phone_blind is not None and patient.phone_unconfirmed_since is None,
        pati_create_time=clock.format_wire_time(patient.created_at),
        pati_group_id=str(group.label_id) if group else "",
        pati_group_name=group.name if group else "",
        list=patient_saving.build_labels(file.labels),
        pati_id_type=shown[0].id_type if shown else "",
        pati_id_number=shown[0].id_number if shown else "",
        pati_province=patient.province,
        pati_city=patient.city,
        pati_county=patient.county,
        pati_address=patient.address,
        pati_splice_address="".join(dict.fromkeys(address_parts)),  # 北京市 is both a province and a city
        cont_name=patient.cont_name,
        cont_relation=patient.cont_relation,
        cont_phone=patients.decrypt_contact_phone(patient),
        pati_photo=links.sign(patient.photo_key) if patient.photo_key else "",
        trea_id=str(patient.trea_id or ""),
        documents=shown,
        status=patient.status,
        verified=patient.status == PatientStatus.VERIFIED,
        card_no=(patient.card_no or "") if sees_cards else "",
        description=patient.description,
        merged_into=str(patient.merged_into or ""),
        guardian=_build_guardian(caller, file),
    )


def _build_document(document: StoredDocument) -> PatientDocument:
    return PatientDocument(
        id_type=documents.format_protocol_type(document.id_type),
        id_number=patient_documents.decrypt_number(document),
        id_country=document.country,
        verified=document.is_verified,
    )


def _build_guardian(caller: Caller, file: PatientFile) -> PatientGuardian | None:
    """Return the guardian of a child, for doctors only of a small one and without the document."""
    guardian, birthday = file.guardian, file.patient.birthday
    is_doctor = caller.role == Role.DOCTOR
    if guardian is None:
        return None
    years = formatting.compute_years(birthday, clock.today()) if birthday else 0
    if is_doctor and years >= guardians.SHOWN_TO_DOCTORS_BELOW_YEARS:
        return None
    return PatientGuardian(
        name=guardian.name,
        id_type="" if is_doctor else documents.format_protocol_type(guardian.id_type),
        id_number="" if is_doctor else guardian.number,
        phone=guardian.phone,
        relation=guardian.cont_relation,
    )


def _build_listed_patient(tenant_id: int, patient: PatientSummary) -> ListedPatient:
    return ListedPatient(
        pati_id=str(patient.pati_id),
        pati_name=patient.name,
        pati_gender=patient.gender,
        pati_age=formatting.format_age(_format_day(patient.birthday), clock.today()),
        pati_phone=formatting.mask_phone(
            phones.unseal(tenant_id, patients.TABLE_NAME, patient.pati_id, patient.phone_sealed)
        ),
        id_country=patient.country,
        status=patient.status,
        verified=patient.status == PatientStatus.VERIFIED,
        pati_create_time=clock.format_wire_time(patient.created_at),
    )


def _build_access(entry: AccessEntry) -> Access:
    return Access(
        entry_id=str(entry.entry_id),
        at=clock.format_wire_time(entry.at),
        user_id=str(entry.user_id),
        user_name=entry.user_name,
        key_id=str(entry.key_id or ""),
        pati_id=str(entry.pati_id or ""),
        pati_name=entry.pati_name,
        action=entry.action,
        break_glass=entry.is_break_glass,
        reason=entry.reason,
    )


def _format_day(birthday: date | None) -> str:
    return birthday.isoformat() if birthday else ""
