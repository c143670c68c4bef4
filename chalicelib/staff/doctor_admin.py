"""Public profiles of doctors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, upload_forms
from chalicelib.files.file_types import Purpose
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors
from chalicelib.staff import list_store
from chalicelib.staff.list_store import DoctorSummary
from chalicelib.staff.staff_models import (
    DoctorListQuery,
    DoctorPhotoFormRequest,
    DoctorProfile,
    DoctorProfileListQuery,
    ListedDoctor,
    PhotoForm,
    SaveDoctorRequest,
)

EDITABLE_FIELDS = ("dept_id", "duty_code", "title", "expert", "introduction")


def search(caller: Caller, query: DoctorListQuery) -> Page[ListedDoctor]:
    """Return a page of the tenant's active doctors, in the tenant's order."""
    total, found = _list_doctors(caller, query)
    return Page[ListedDoctor].build(query, total, [_build_listed_doctor(doctor) for doctor in found])


def list_profiles(caller: Caller, query: DoctorProfileListQuery) -> Page[DoctorProfile]:
    """Return the same doctors with every field of their profiles."""
    total, found = _list_doctors(caller, query)
    dept_names = {one.dept_id: one.name for one in departments.list_all(mysql.autocommit, caller.tenant_id)}
    return Page[DoctorProfile].build(query, total, [_build_profile(doctor, dept_names) for doctor in found])


def save(caller: Caller, request: SaveDoctorRequest) -> None:
    """Change a doctor's profile. Fields that the request leaves out stay as they are.

    Raises:
        ApiError: 404 if the tenant has no such doctor, department or photo; 409 if the photo is not uploaded.
    """
    changes = {name: getattr(request, name) for name in EDITABLE_FIELDS if name in request.model_fields_set}
    if "order" in request.model_fields_set:
        changes["sort"] = request.order
    if "photo_file_id" in request.model_fields_set:
        changes["photo_key"] = _get_photo_key(caller, request)
    mysql.run_transaction(lambda tx: _update(tx, caller.tenant_id, request.doctor_id, changes))


def create_photo_form(caller: Caller, request: DoctorPhotoFormRequest) -> PhotoForm:
    """Return an upload form for a picture of a doctor. `save` then makes it the photo.

    Raises:
        ApiError: 400 for a type or size that is not allowed, 404 if the tenant has no such doctor.
    """
    terms = file_types.build_upload_terms(Purpose.PHOTO, request.file_extension, request.file_type, request.file_size)
    if mysql.run_transaction(lambda tx: doctors.find_for_update(tx, caller.tenant_id, request.doctor_id)) is None:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    ticket = upload_forms.issue(caller, _format_place(request.doctor_id), terms)
    return PhotoForm(url=ticket.form.url, file_id=str(ticket.file_id), fields=ticket.form.fields)


def _list_doctors(caller: Caller, query: DoctorProfileListQuery) -> tuple[int, list[DoctorSummary]]:
    limits = (query.offset, query.page_size)
    return list_store.list_doctors(mysql.autocommit, caller.tenant_id, query.doctor_name, limits)


def _get_photo_key(caller: Caller, request: SaveDoctorRequest) -> str:
    if request.photo_file_id is None:
        return ""
    place = _format_place(request.doctor_id)
    return confirmation.confirm_upload_for_place(
        caller.tenant_id, caller.principal, place, request.photo_file_id
    ).object_key


def _format_place(doctor_id: int) -> str:
    return f"doctor:{doctor_id}"


def _update(tx: Tx, tenant_id: int, doctor_id: int, changes: dict[str, Any]) -> None:
    profile = doctors.find_for_update(tx, tenant_id, doctor_id)
    if profile is None:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    changed = replace(profile, **changes)
    if changed.dept_id and not departments.exists(tx, tenant_id, changed.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    doctors.update(tx, tenant_id, doctor_id, changed)


def _build_listed_doctor(doctor: DoctorSummary) -> ListedDoctor:
    profile = doctor.profile
    return ListedDoctor(
        doctor_id=str(doctor.user_id),
        doctor_name=doctor.name,
        doctor_photo_url=links.sign(profile.photo_key) if profile.photo_key else "",
        doctor_title=profile.display_title,
        doctor_expert=profile.expert,
    )


def _build_profile(doctor: DoctorSummary, dept_names: Mapping[int, str]) -> DoctorProfile:
    profile = doctor.profile
    return DoctorProfile(
        doctor_id=str(doctor.user_id),
        doctor_name=doctor.name,
        dept_id=str(profile.dept_id or ""),
        dept_name=dept_names.get(profile.dept_id or 0, ""),
        duty_code=profile.duty_code,
        title=profile.title,
        photo_url=links.sign(profile.photo_key) if profile.photo_key else "",
        expert=profile.expert,
        introduction=profile.introduction,
        order=profile.sort,
    )
