"""What doctors show to patients."""

from dataclasses import replace
from typing import Any

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, upload_forms
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors
from chalicelib.people.doctors import Profile
from chalicelib.staff import list_store
from chalicelib.staff.staff_models import (
    DoctorListQuery,
    DoctorProfile,
    DoctorProfileListQuery,
    DoctorSaved,
    ListedDoctor,
    PhotoForm,
    PhotoWanted,
)


def search(caller: Caller, asked: DoctorListQuery) -> Page[ListedDoctor]:
    """Return a page of the tenant's working doctors, in its own order."""
    total, rows = _list_doctors(caller, asked.doctor_name, asked.offset, asked.page_size)
    return Page[ListedDoctor].build(asked, total, [_build_listed_doctor(row) for row in rows])


def list_profiles(caller: Caller, asked: DoctorProfileListQuery) -> Page[DoctorProfile]:
    """Return the same doctors with all that is administered."""
    total, rows = _list_doctors(caller, asked.doctor_name, asked.offset, asked.page_size)
    found = departments.list_all(mysql.autocommit, caller.tenant_id)
    names = {str(one.dept_id): one.name for one in found}
    return Page[DoctorProfile].build(asked, total, [_build_profile(row, names) for row in rows])


def save(caller: Caller, saved: DoctorSaved) -> None:
    """Change what is given. ApiError 404 for no doctor, department or photo of this tenant; 409 for a photo that is not
    uploaded."""
    given = {name: getattr(saved, name) for name in EDITABLE_FIELDS if name in saved.model_fields_set}
    if "order" in saved.model_fields_set:
        given["sort"] = saved.order
    if "photo_file_id" in saved.model_fields_set:
        given["photo_key"] = _get_photo_key(caller, saved)
    mysql.run_transaction(lambda tx: _update(tx, caller.tenant_id, saved.doctor_id, given))


EDITABLE_FIELDS = ("dept_id", "duty_code", "title", "expert", "introduction")


def create_photo_form(caller: Caller, wanted: PhotoWanted) -> PhotoForm:
    """Return a form for one picture of a doctor; `save` then makes it the photo."""
    kind = file_types.require_picture_kind(wanted.file_extension, wanted.file_type, wanted.file_size)
    if mysql.run_transaction(lambda tx: doctors.find_for_update(tx, caller.tenant_id, wanted.doctor_id)) is None:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    ticket = upload_forms.issue(
        *(caller.tenant_id, caller.principal, _format_place(wanted.doctor_id)),
        *(kind, wanted.file_type, wanted.file_size),
    )
    return PhotoForm(url=ticket.form.url, file_id=str(ticket.file_id), fields=ticket.form.fields)


def _list_doctors(caller: Caller, name: str | None, skipped: int, taken: int) -> list_store.CountedRows:
    return list_store.list_doctors(mysql.autocommit, caller.tenant_id, name, (skipped, taken))


def _get_photo_key(caller: Caller, saved: DoctorSaved) -> str:
    if saved.photo_file_id is None:
        return ""
    place = _format_place(saved.doctor_id)
    return confirmation.confirm_upload_for_place(
        caller.tenant_id, caller.principal, place, saved.photo_file_id
    ).object_key


def _format_place(doctor_id: int) -> str:
    return f"doctor:{doctor_id}"


def _update(tx: Tx, tenant_id: int, doctor_id: int, given: dict[str, Any]) -> None:
    profile = doctors.find_for_update(tx, tenant_id, doctor_id)
    if profile is None:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    changed: Profile = replace(profile, **given)
    if changed.dept_id and not departments.exists(tx, tenant_id, changed.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    doctors.update(tx, tenant_id, doctor_id, changed)


def _build_listed_doctor(row: Row) -> ListedDoctor:
    profile = doctors.build_profile(row)
    return ListedDoctor(
        doctor_id=row["user_id"],
        doctor_name=row["name"],
        doctor_photo_url=links.sign(profile.photo_key) if profile.photo_key else "",
        doctor_title=profile.display_title,
        doctor_expert=profile.expert,
    )


def _build_profile(row: Row, names: dict[str, str]) -> DoctorProfile:
    profile, dept_id = doctors.build_profile(row), str(row["dept_id"] or "")
    return DoctorProfile(
        doctor_id=row["user_id"],
        doctor_name=row["name"],
        dept_id=dept_id,
        dept_name=names.get(dept_id, ""),
        duty_code=profile.duty_code,
        title=profile.title,
        photo_url=links.sign(profile.photo_key) if profile.photo_key else "",
        expert=profile.expert,
        introduction=profile.introduction,
        order=profile.sort,
    )
