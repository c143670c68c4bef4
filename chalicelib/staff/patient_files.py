"""Patient files as staff keep them. Whoever opens or changes one is noted, in the same transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import formatting, id_cards, patients
from chalicelib.people.patients import IdNumber, Patient, PatientDetails
from chalicelib.staff import labels, list_store, store
from chalicelib.staff.label_models import Label
from chalicelib.staff.labels import LabelKind
from chalicelib.staff.patient_models import (
    Access,
    AccessLogQuery,
    ListedPatient,
    PatientInfo,
    PatientListQuery,
    PatientSaved,
    SavedPatient,
)

ID_CARD_TYPES = ("", "01", "99")


def get_info(caller: Caller, pati_id: int) -> PatientInfo:
    """Return one file whole, and note who opened it."""
    field_encryption.preload_keys()
    patient, under = mysql.run_transaction(lambda tx: _get_and_log_access(tx, caller, pati_id))
    return _build_info(patient, under)


def save(caller: Caller, saved: PatientSaved, key: str | None) -> SavedPatient:
    """File a patient, or change a file: where pati_id says which, or where the ID number is filed under this name.

    ApiError 409 for a number that is filed under another name, 404 for another tenant's file, group or label.
    """
    field_encryption.preload_keys()
    known = _parse_id_number(caller, saved)
    try:
        pati_id, under = mysql.run_transaction(lambda tx: _create_or_update(tx, caller, saved, known, key))
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key != "idempotency_key":
            raise
        pati_id, under = mysql.run_autocommit(lambda tx: _get_earlier_result(tx, caller, saved, str(key)))
    return SavedPatient(pati_id=str(pati_id), list=_build_labels(under))


def search(caller: Caller, asked: PatientListQuery) -> Page[ListedPatient]:
    """Return a page of files, with telephone numbers masked."""
    known = patients.build_id_number(caller.tenant_id, asked.pati_id_number.upper()) if asked.pati_id_number else None
    total, rows = list_store.list_patients(
        mysql.autocommit,
        caller.tenant_id,
        name=asked.pati_name,
        phone=asked.pati_phone,
        id_blind=known.blind_index if known else None,
        label_id=asked.label_id,
        limits=(asked.offset, asked.page_size),
    )
    return Page[ListedPatient].build(asked, total, [_build_listed_patient(row) for row in rows])


def list_accesses(caller: Caller, asked: AccessLogQuery) -> Page[Access]:
    """Return a page of who opened or changed which file."""
    limits = (asked.offset, asked.page_size)
    total, rows = list_store.list_accesses(mysql.autocommit, caller.tenant_id, asked.pati_id, asked.user_id, limits)
    return Page[Access].build(
        asked, total, [Access(**{**row, "at": clock.format_wire_time(row["at"])}) for row in rows]
    )


def _get_and_log_access(tx: Tx, caller: Caller, pati_id: int) -> tuple[Patient, list[Row]]:
    patient = patients.get(tx, caller.tenant_id, pati_id)
    store.insert_access(tx, caller.tenant_id, caller.user_id, pati_id, "read")
    return patient, store.list_patient_labels(tx, pati_id)


def _parse_id_number(caller: Caller, saved: PatientSaved) -> IdNumber | None:
    """Return the ID number of a form, None where it has none. ApiError 400 where it cannot be this person's."""
    number = saved.pati_id_number.upper()
    if not number:
        return None
    if saved.pati_id_type in ID_CARD_TYPES:
        _require_matching_id_card(number, saved)
    return patients.build_id_number(caller.tenant_id, number, saved.pati_id_type or patients.ID_CARD_TYPE)


def _require_matching_id_card(number: str, saved: PatientSaved) -> None:
    try:
        id_cards.require_match(id_cards.normalize(number), saved.pati_birthday, saved.pati_gender)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"pati_id_number：{error}") from None


def _create_or_update(
    tx: Tx, caller: Caller, saved: PatientSaved, known: IdNumber | None, key: str | None
) -> tuple[int, list[Row]]:
    found = saved.pati_id or patients.find_by_id_number(tx, caller.tenant_id, saved.pati_name, known)
    if found:
        patient = patients.get(tx, caller.tenant_id, found, for_update=True)
        patients.update(tx, caller.tenant_id, found, _merge_details(caller, patient, saved, known))
    pati_id = found or patients.get_or_create(tx, caller.tenant_id, _build_details(saved, known), caller.user_id, key)
    store.insert_access(tx, caller.tenant_id, caller.user_id, pati_id, "changed" if found else "filed")
    if "pati_group_id" in saved.model_fields_set:
        labels.set_patient_labels(
            tx, caller.tenant_id, pati_id, LabelKind.GROUP, [saved.pati_group_id] if saved.pati_group_id else []
        )
    if saved.labels is not None:
        labels.set_patient_labels(
            tx, caller.tenant_id, pati_id, LabelKind.LABEL, [one.label_id for one in saved.labels]
        )
    return pati_id, store.list_patient_labels(tx, pati_id)


def _get_earlier_result(tx: Tx, caller: Caller, saved: PatientSaved, key: str) -> tuple[int, list[Row]]:
    """Find what this request filed when it was first sent. ApiError 409 where it said something else then."""
    patient = patients.get_by_idempotency_key(tx, caller.tenant_id, caller.user_id, key)
    same = (saved.pati_name, saved.pati_gender, saved.pati_birthday, saved.pati_phone)
    if (patient.name, patient.gender, patient.birthday, patient.phone) != same:
        raise ApiError(errors.CONFLICT, "相同的 Idempotency-Key，内容却不同")
    return patient.pati_id, store.list_patient_labels(tx, patient.pati_id)


def _build_details(saved: PatientSaved, known: IdNumber | None) -> PatientDetails:
    return PatientDetails(
        name=saved.pati_name,
        gender=saved.pati_gender,
        birthday=saved.pati_birthday,
        phone=saved.pati_phone,
        id_number=known,
        province=saved.pati_province,
        city=saved.pati_city,
        county=saved.pati_county,
        address=saved.pati_address,
        cont_name=saved.cont_name,
        cont_relation=saved.cont_relation,
        cont_phone=saved.cont_phone,
    )


def _merge_details(caller: Caller, patient: Patient, saved: PatientSaved, known: IdNumber | None) -> PatientDetails:
    """Return what the form says, and what the file says where the form leaves it out."""
    details, given = _build_details(saved, known), saved.model_fields_set
    optional = {"pati_province": "province", "pati_city": "city", "pati_county": "county", "pati_address": "address"}
    optional |= {name: name for name in ("cont_name", "cont_relation", "cont_phone")}
    kept = {field: getattr(patient, field) for name, field in optional.items() if name not in given}
    if "pati_id_number" not in given and (number := patients.get_id_number(patient)):
        if patient.id_type == patients.ID_CARD_TYPE:
            _require_matching_id_card(number, saved)
        kept["id_number"] = patients.build_id_number(caller.tenant_id, number, patient.id_type)
    return replace(details, **kept)


def _build_info(patient: Patient, under: list[Row]) -> PatientInfo:
    group = next((row for row in under if row["label_type"] == LabelKind.GROUP), None)
    place = (patient.province, patient.city, patient.county, patient.address)
    return PatientInfo(
        pati_id=str(patient.pati_id),
        pati_name=patient.name,
        pati_gender=patient.gender,
        pati_birthday=_format_day(patient.birthday),
        pati_age=formatting.format_age(_format_day(patient.birthday), clock.today()),
        pati_phone=patient.phone,
        pati_create_time=clock.format_wire_time(patient.created_at),
        pati_group_id=str(group["label_id"]) if group else "",
        pati_group_name=group["name"] if group else "",
        list=_build_labels(under),
        pati_id_type=patient.id_type,
        pati_id_number=patients.get_id_number(patient),
        pati_province=patient.province,
        pati_city=patient.city,
        pati_county=patient.county,
        pati_address=patient.address,
        # 北京市 is province and city in one.
        pati_splice_address="".join(dict.fromkeys(place)),
        cont_name=patient.cont_name,
        cont_relation=patient.cont_relation,
        cont_phone=patient.cont_phone,
        pati_photo=links.sign(patient.photo_key) if patient.photo_key else "",
        trea_id=str(patient.trea_id or ""),
    )


def _build_labels(under: Sequence[Row]) -> list[Label]:
    return [
        Label(label_name=row["name"], label_id=row["label_id"]) for row in under if row["label_type"] == LabelKind.LABEL
    ]


def _build_listed_patient(row: Row) -> ListedPatient:
    return ListedPatient(
        pati_id=row["pati_id"],
        pati_name=row["name"],
        pati_gender=row["gender"],
        pati_age=formatting.format_age(_format_day(row["birthday"]), clock.today()),
        pati_phone=formatting.mask_phone(row["phone"]),
        pati_create_time=clock.format_wire_time(row["created_at"]),
    )


def _format_day(birthday: date | None) -> str:
    return birthday.isoformat() if birthday else ""
