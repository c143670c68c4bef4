"""Patient files for staff. Each read and change is entered into the access log in the same transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import double_submission, formatting, id_cards, patients
from chalicelib.people.patients import IdNumber, Patient, PatientDetails
from chalicelib.staff import labels, list_store, store
from chalicelib.staff.label_models import Label
from chalicelib.staff.labels import LabelKind
from chalicelib.staff.list_store import AccessEntry, PatientSummary
from chalicelib.staff.patient_models import (
    Access,
    AccessLogQuery,
    ListedPatient,
    PatientInfo,
    PatientListQuery,
    SavePatientRequest,
    SavePatientResponse,
)
from chalicelib.staff.store import AccessAction, LabelRecord

ID_CARD_TYPES = ("", "01", "99")


def get_info(caller: Caller, pati_id: int) -> PatientInfo:
    """Return a file unmasked and enter the access into the log.

    Raises:
        ApiError: 404 if the tenant has no such file.
    """
    field_encryption.preload_keys()
    patient, patient_labels = mysql.run_transaction(lambda tx: _get_and_log_access(tx, caller, pati_id))
    return _build_info(patient, patient_labels)


def save(caller: Caller, request: SavePatientRequest, idempotency_key: str | None) -> SavePatientResponse:
    """Create a file, or change the one with this pati_id or with this ID number and name.

    Args:
        idempotency_key: a later request with the same key and content returns the file that the first one created.
            Without a key, so does an equal request of the same person within seconds.

    Raises:
        ApiError: 400 if the ID number is invalid or contradicts birthday or gender; 404 if the tenant has no such file,
            group or label; 409 if the file with this number has another name, or if another request had this key.
    """
    field_encryption.preload_keys()
    id_number = _parse_id_number(caller, request)
    try:
        pati_id, patient_labels = mysql.run_transaction(
            lambda tx: _create_or_update(tx, caller, request, id_number, idempotency_key)
        )
    except mysql.DuplicateKeyError as error:
        if error.key != "idempotency_key":
            raise
        pati_id, patient_labels = mysql.run_autocommit(
            lambda tx: _get_earlier_result(tx, caller, request, str(idempotency_key))
        )
    shown = _build_labels(patient_labels)
    first = shown[0] if shown else Label(label_name="", label_id="")
    return SavePatientResponse(pati_id=str(pati_id), label_name=first.label_name, label_id=first.label_id, list=shown)


def search(caller: Caller, query: PatientListQuery) -> Page[ListedPatient]:
    """Return a page of files, with masked phone numbers."""
    number = query.pati_id_number.upper()
    id_number = patients.build_id_number(caller.tenant_id, number) if number else None
    total, found = list_store.list_patients(
        mysql.autocommit,
        caller.tenant_id,
        name=query.pati_name,
        phone=query.pati_phone,
        id_blind=id_number.blind_index if id_number else None,
        label_id=query.label_id,
        limits=(query.offset, query.page_size),
    )
    return Page[ListedPatient].build(query, total, [_build_listed_patient(patient) for patient in found])


def list_accesses(caller: Caller, query: AccessLogQuery) -> Page[Access]:
    """Return a page of the access log."""
    limits = (query.offset, query.page_size)
    total, found = list_store.list_accesses(mysql.autocommit, caller.tenant_id, query.pati_id, query.user_id, limits)
    return Page[Access].build(query, total, [_build_access(entry) for entry in found])


def _get_and_log_access(tx: Tx, caller: Caller, pati_id: int) -> tuple[Patient, list[LabelRecord]]:
    patient = patients.get(tx, caller.tenant_id, pati_id)
    store.insert_access(tx, caller.tenant_id, caller.user_id, pati_id, AccessAction.READ)
    return patient, store.list_patient_labels(tx, pati_id)


def _parse_id_number(caller: Caller, request: SavePatientRequest) -> IdNumber | None:
    """Return the ID number of a form, None if it has none.

    Raises:
        ApiError: 400 if the number of an ID card is invalid or contradicts birthday or gender.
    """
    number = request.pati_id_number.upper()
    if not number:
        return None
    if request.pati_id_type in ID_CARD_TYPES:
        _require_matching_id_card(number, request)
    return patients.build_id_number(caller.tenant_id, number, request.pati_id_type or patients.ID_CARD_TYPE)


def _require_matching_id_card(number: str, request: SavePatientRequest) -> None:
    try:
        id_cards.require_match(id_cards.normalize(number), request.pati_birthday, request.pati_gender)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"pati_id_number：{error}") from None


def _create_or_update(
    tx: Tx, caller: Caller, request: SavePatientRequest, id_number: IdNumber | None, idempotency_key: str | None
) -> tuple[int, list[LabelRecord]]:
    tenant_id = caller.tenant_id
    if not (request.pati_id or id_number or idempotency_key):
        double_submission.lock_sender(tx, tenant_id, caller.principal)
        if earlier := _find_double_submission(tx, caller, request):
            return earlier
    existing = request.pati_id or patients.find_by_id_number(tx, tenant_id, request.pati_name, id_number)
    if existing:
        pati_id, action = existing, AccessAction.CHANGED
        patient = patients.get(tx, tenant_id, pati_id, for_update=True)
        patients.update(tx, tenant_id, pati_id, _merge_details(caller, patient, request, id_number))
    else:
        details, action = _build_details(request, id_number), AccessAction.CREATED
        pati_id = patients.get_or_create(tx, tenant_id, details, caller.user_id, idempotency_key)
    store.insert_access(tx, tenant_id, caller.user_id, pati_id, action)
    if "pati_group_id" in request.model_fields_set:
        group_ids = [request.pati_group_id] if request.pati_group_id else []
        labels.set_patient_labels(tx, tenant_id, pati_id, LabelKind.GROUP, group_ids)
    if request.labels is not None:
        label_ids = [label.label_id for label in request.labels]
        labels.set_patient_labels(tx, tenant_id, pati_id, LabelKind.LABEL, label_ids)
    return pati_id, store.list_patient_labels(tx, pati_id)


def _find_double_submission(
    tx: Tx, caller: Caller, request: SavePatientRequest
) -> tuple[int, list[LabelRecord]] | None:
    """Return the file and the labels that the same form has just created, None if there is none."""
    requested = {request.pati_group_id, *(label.label_id for label in request.labels or [])} - {None}
    details = _build_details(request, None)
    for pati_id in patients.list_double_submissions(tx, caller.tenant_id, details, caller.user_id):
        patient_labels = store.list_patient_labels(tx, pati_id)
        if {label.label_id for label in patient_labels} == requested:
            return pati_id, patient_labels
    return None


def _get_earlier_result(
    tx: Tx, caller: Caller, request: SavePatientRequest, idempotency_key: str
) -> tuple[int, list[LabelRecord]]:
    """Return the file that the first request with this key created.

    Raises:
        ApiError: 409 if that request had other content.
    """
    patient = patients.get_by_idempotency_key(tx, caller.tenant_id, caller.user_id, idempotency_key)
    requested = (request.pati_name, request.pati_gender, request.pati_birthday, request.pati_phone)
    if (patient.name, patient.gender, patient.birthday, patient.phone) != requested:
        raise ApiError(errors.CONFLICT, "相同的 Idempotency-Key，内容却不同")
    return patient.pati_id, store.list_patient_labels(tx, patient.pati_id)


def _build_details(request: SavePatientRequest, id_number: IdNumber | None) -> PatientDetails:
    return PatientDetails(
        name=request.pati_name,
        gender=request.pati_gender,
        birthday=request.pati_birthday,
        phone=request.pati_phone,
        id_number=id_number,
        province=request.pati_province,
        city=request.pati_city,
        county=request.pati_county,
        address=request.pati_address,
        cont_name=request.cont_name,
        cont_relation=request.cont_relation,
        cont_phone=request.cont_phone,
    )


def _merge_details(
    caller: Caller, patient: Patient, request: SavePatientRequest, id_number: IdNumber | None
) -> PatientDetails:
    """Return the details of the form; fields that the form leaves out come from the file."""
    details, given = _build_details(request, id_number), request.model_fields_set
    optional = {"pati_province": "province", "pati_city": "city", "pati_county": "county", "pati_address": "address"}
    optional |= {name: name for name in ("cont_name", "cont_relation", "cont_phone")}
    unchanged = {field: getattr(patient, field) for name, field in optional.items() if name not in given}
    if "pati_id_number" not in given and (number := patients.get_id_number(patient)):
        if patient.id_type == patients.ID_CARD_TYPE:
            _require_matching_id_card(number, request)
        unchanged["id_number"] = patients.build_id_number(caller.tenant_id, number, patient.id_type)
    return replace(details, **unchanged)


def _build_info(patient: Patient, patient_labels: Sequence[LabelRecord]) -> PatientInfo:
    group = next((label for label in patient_labels if label.label_type == LabelKind.GROUP), None)
    address_parts = (patient.province, patient.city, patient.county, patient.address)
    return PatientInfo(
        pati_id=str(patient.pati_id),
        pati_name=patient.name,
        pati_gender=patient.gender,
        pati_birthday=_format_day(patient.birthday),
        pati_age=formatting.format_age(_format_day(patient.birthday), clock.today()),
        pati_phone=patient.phone,
        pati_create_time=clock.format_wire_time(patient.created_at),
        pati_group_id=str(group.label_id) if group else "",
        pati_group_name=group.name if group else "",
        list=_build_labels(patient_labels),
        pati_id_type=patient.id_type,
        pati_id_number=patients.get_id_number(patient),
        pati_province=patient.province,
        pati_city=patient.city,
        pati_county=patient.county,
        pati_address=patient.address,
        pati_splice_address="".join(dict.fromkeys(address_parts)),  # 北京市 is both a province and a city
        cont_name=patient.cont_name,
        cont_relation=patient.cont_relation,
        cont_phone=patient.cont_phone,
        pati_photo=links.sign(patient.photo_key) if patient.photo_key else "",
        trea_id=str(patient.trea_id or ""),
    )


def _build_labels(patient_labels: Sequence[LabelRecord]) -> list[Label]:
    """Return the labels among the groups and labels of a patient."""
    return [
        Label(label_name=label.name, label_id=str(label.label_id))
        for label in patient_labels
        if label.label_type == LabelKind.LABEL
    ]


def _build_listed_patient(patient: PatientSummary) -> ListedPatient:
    return ListedPatient(
        pati_id=str(patient.pati_id),
        pati_name=patient.name,
        pati_gender=patient.gender,
        pati_age=formatting.format_age(_format_day(patient.birthday), clock.today()),
        pati_phone=formatting.mask_phone(patient.phone),
        pati_create_time=clock.format_wire_time(patient.created_at),
    )


def _build_access(entry: AccessEntry) -> Access:
    return Access(
        entry_id=str(entry.entry_id),
        at=clock.format_wire_time(entry.at),
        user_id=str(entry.user_id),
        user_name=entry.user_name,
        pati_id=str(entry.pati_id),
        pati_name=entry.pati_name,
        action=entry.action,
    )


def _format_day(birthday: date | None) -> str:
    return birthday.isoformat() if birthday else ""
