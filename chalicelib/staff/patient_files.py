"""Patient files as staff keep them. Whoever opens or changes one is noted, in the same transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import formatting, id_cards, patients
from chalicelib.people.patients import Details, IdNumber, Patient
from chalicelib.staff import labels, list_store, store
from chalicelib.staff.label_models import Label
from chalicelib.staff.patient_models import (
    Access,
    AccessAsked,
    ListedPatient,
    PatientInfo,
    PatientsAsked,
    PatientSaved,
    SavedPatient,
)

ID_CARDS = ("", "01", "99")


def info(caller: Caller, pati_id: int) -> PatientInfo:
    """Return one file whole, and note who opened it."""
    field_encryption.ready()
    patient, under = mysql.transact(lambda tx: _read(tx, caller, pati_id))
    return _info(patient, under)


def save(caller: Caller, saved: PatientSaved, key: str | None) -> SavedPatient:
    """File a patient, or change a file: where pati_id says which, or where the ID number is filed under this name.

    Refused 409 for a number that is filed under another name, 404 for another tenant's file, group or label.
    """
    field_encryption.ready()
    known = _number(caller, saved)
    try:
        pati_id, under = mysql.transact(lambda tx: _save(tx, caller, saved, known, key))
    except mysql.Duplicate as duplicate:
        if duplicate.key != "resend":
            raise
        pati_id, under = mysql.autocommit(lambda tx: _resent(tx, caller, saved, str(key)))
    return SavedPatient(pati_id=str(pati_id), list=_labels(under))


def search(caller: Caller, asked: PatientsAsked) -> Page[ListedPatient]:
    """Return a page of files, with telephone numbers masked."""
    known = patients.id_number(caller.tenant_id, asked.pati_id_number.upper()) if asked.pati_id_number else None
    total, rows = mysql.autocommit(
        lambda tx: list_store.patients(
            tx,
            caller.tenant_id,
            name=asked.pati_name,
            phone=asked.pati_phone,
            id_blind=known.blind if known else None,
            label_id=asked.label_id,
            limits=(asked.skipped, asked.page_size),
        )
    )
    return Page[ListedPatient].of(asked, total, [_listed(row) for row in rows])


def accesses(caller: Caller, asked: AccessAsked) -> Page[Access]:
    """Return a page of who opened or changed which file."""
    limits = (asked.skipped, asked.page_size)
    total, rows = mysql.autocommit(
        lambda tx: list_store.accesses(tx, caller.tenant_id, asked.pati_id, asked.user_id, limits)
    )
    return Page[Access].of(asked, total, [Access(**{**row, "at": clock.wire(row["at"])}) for row in rows])


def _read(tx: Tx, caller: Caller, pati_id: int) -> tuple[Patient, list[Row]]:
    patient = patients.get(tx, caller.tenant_id, pati_id)
    store.note_access(tx, caller.tenant_id, caller.user_id, pati_id, "read")
    return patient, store.labels_of(tx, pati_id)


def _number(caller: Caller, saved: PatientSaved) -> IdNumber | None:
    """Return the ID number of a form, None where it has none. Refused 400 where it cannot be this person's."""
    number = saved.pati_id_number.upper()
    if not number:
        return None
    if saved.pati_id_type in ID_CARDS:
        _agree(number, saved)
    return patients.id_number(caller.tenant_id, number, saved.pati_id_type or patients.ID_CARD)


def _agree(number: str, saved: PatientSaved) -> None:
    try:
        id_cards.agree(id_cards.checked(number), saved.pati_birthday, saved.pati_gender)
    except ValueError as error:
        raise Refused(errors.BAD_PARAMETER, f"pati_id_number：{error}") from None


def _save(
    tx: Tx, caller: Caller, saved: PatientSaved, known: IdNumber | None, key: str | None
) -> tuple[int, list[Row]]:
    found = saved.pati_id or patients.find(tx, caller.tenant_id, saved.pati_name, known)
    if found:
        patient = patients.get(tx, caller.tenant_id, found, to_change=True)
        patients.change(tx, caller.tenant_id, found, _changed(caller, patient, saved, known))
    pati_id = found or patients.find_or_create(tx, caller.tenant_id, _details(saved, known), caller.user_id, key)
    store.note_access(tx, caller.tenant_id, caller.user_id, pati_id, "changed" if found else "filed")
    if "pati_group_id" in saved.model_fields_set:
        labels.put(tx, caller.tenant_id, pati_id, labels.GROUP, [saved.pati_group_id] if saved.pati_group_id else [])
    if saved.labels is not None:
        labels.put(tx, caller.tenant_id, pati_id, labels.LABEL, [one.label_id for one in saved.labels])
    return pati_id, store.labels_of(tx, pati_id)


def _resent(tx: Tx, caller: Caller, saved: PatientSaved, key: str) -> tuple[int, list[Row]]:
    """Find what this request filed when it was first sent. Refused 409 where it said something else then."""
    patient = patients.filed_with(tx, caller.tenant_id, caller.user_id, key)
    same = (saved.pati_name, saved.pati_gender, saved.pati_birthday, saved.pati_phone)
    if (patient.name, patient.gender, patient.birthday, patient.phone) != same:
        raise Refused(errors.CONFLICT, "相同的 Idempotency-Key，内容却不同")
    return patient.pati_id, store.labels_of(tx, patient.pati_id)


def _details(saved: PatientSaved, known: IdNumber | None) -> Details:
    return Details(
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


def _changed(caller: Caller, patient: Patient, saved: PatientSaved, known: IdNumber | None) -> Details:
    """Return what the form says, and what the file says where the form leaves it out."""
    details, given = _details(saved, known), saved.model_fields_set
    optional = {"pati_province": "province", "pati_city": "city", "pati_county": "county", "pati_address": "address"}
    optional |= {name: name for name in ("cont_name", "cont_relation", "cont_phone")}
    kept = {field: getattr(patient, field) for name, field in optional.items() if name not in given}
    if "pati_id_number" not in given and (number := patients.number_of(patient)):
        if patient.id_type == patients.ID_CARD:
            _agree(number, saved)
        kept["id_number"] = patients.id_number(caller.tenant_id, number, patient.id_type)
    return replace(details, **kept)


def _info(patient: Patient, under: list[Row]) -> PatientInfo:
    group = next((row for row in under if row["label_type"] == labels.GROUP), None)
    place = (patient.province, patient.city, patient.county, patient.address)
    return PatientInfo(
        pati_id=str(patient.pati_id),
        pati_name=patient.name,
        pati_gender=patient.gender,
        pati_birthday=_day(patient.birthday),
        pati_age=formatting.age(_day(patient.birthday), clock.today()),
        pati_phone=patient.phone,
        pati_create_time=clock.wire(patient.created_at),
        pati_group_id=str(group["label_id"]) if group else "",
        pati_group_name=group["name"] if group else "",
        list=_labels(under),
        pati_id_type=patient.id_type,
        pati_id_number=patients.number_of(patient),
        pati_province=patient.province,
        pati_city=patient.city,
        pati_county=patient.county,
        pati_address=patient.address,
        # 北京市 is province and city in one.
        pati_splice_address="".join(dict.fromkeys(place)),
        cont_name=patient.cont_name,
        cont_relation=patient.cont_relation,
        cont_phone=patient.cont_phone,
        pati_photo=links.signed(patient.photo_key) if patient.photo_key else "",
        trea_id=str(patient.trea_id or ""),
    )


def _labels(under: Sequence[Row]) -> list[Label]:
    return [
        Label(label_name=row["name"], label_id=row["label_id"]) for row in under if row["label_type"] == labels.LABEL
    ]


def _listed(row: Row) -> ListedPatient:
    return ListedPatient(
        pati_id=row["pati_id"],
        pati_name=row["name"],
        pati_gender=row["gender"],
        pati_age=formatting.age(_day(row["birthday"]), clock.today()),
        pati_phone=formatting.masked(row["phone"]),
        pati_create_time=clock.wire(row["created_at"]),
    )


def _day(birthday: date | None) -> str:
    return birthday.isoformat() if birthday else ""
