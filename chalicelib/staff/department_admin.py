"""Departments, as an admin keeps them and patients see them."""

from dataclasses import replace
from typing import Any

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, upload_forms
from chalicelib.identity.callers import Caller
from chalicelib.people import departments
from chalicelib.staff.staff_models import Department, DepartmentPhotoWanted, DepartmentSaved, PhotoForm, SavedDepartment


def list_all(caller: Caller) -> list[Department]:
    return [_build_department(one) for one in departments.list_all(mysql.autocommit, caller.tenant_id)]


def save(caller: Caller, saved: DepartmentSaved) -> SavedDepartment:
    """Create, or change where dept_id says which. ApiError 409 where the tenant has the name already, and for a photo
    that is not uploaded; 404 for no department or photo of this tenant."""
    given: dict[str, Any] = {"name": saved.name}
    if "order" in saved.model_fields_set:
        given["sort"] = saved.order
    if "introduction" in saved.model_fields_set:
        given["introduction"] = saved.introduction
    if "photo_file_id" in saved.model_fields_set:
        given["photo_key"] = _get_photo_key(caller, saved)
    try:
        dept_id = mysql.run_transaction(lambda tx: _create_or_update(tx, caller.tenant_id, saved, given))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "科室名称已存在") from None
    return SavedDepartment(dept_id=str(dept_id))


def create_photo_form(caller: Caller, wanted: DepartmentPhotoWanted) -> PhotoForm:
    """Return a form for one picture of a department; `save` then makes it the photo."""
    kind = file_types.require_picture_kind(wanted.file_extension, wanted.file_type, wanted.file_size)
    if not departments.exists(mysql.autocommit, caller.tenant_id, wanted.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    ticket = upload_forms.issue(
        *(caller.tenant_id, caller.principal, _format_place(wanted.dept_id)),
        *(kind, wanted.file_type, wanted.file_size),
    )
    return PhotoForm(url=ticket.form.url, file_id=str(ticket.file_id), fields=ticket.form.fields)


def _create_or_update(tx: Tx, tenant_id: int, saved: DepartmentSaved, given: dict[str, Any]) -> int:
    dept_id = saved.dept_id or departments.create(tx, tenant_id, saved.name)
    department = departments.find_for_update(tx, tenant_id, dept_id)
    if department is None:
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    departments.update(tx, tenant_id, replace(department, **given))
    return dept_id


def _get_photo_key(caller: Caller, saved: DepartmentSaved) -> str:
    if saved.photo_file_id is None:
        return ""
    place = _format_place(saved.dept_id)  # of a new one there can be no upload yet
    return confirmation.confirm_upload_for_place(
        caller.tenant_id, caller.principal, place, saved.photo_file_id
    ).object_key


def _format_place(dept_id: int | None) -> str:
    return f"department:{dept_id}"


def _build_department(one: departments.Department) -> Department:
    return Department(
        dept_id=str(one.dept_id),
        name=one.name,
        order=one.sort,
        introduction=one.introduction,
        photo_url=links.sign(one.photo_key) if one.photo_key else "",
    )
