"""Administration of departments."""

from dataclasses import replace
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, upload_forms
from chalicelib.files.file_types import Purpose
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, double_submission
from chalicelib.staff.staff_models import (
    Department,
    DepartmentPhotoFormRequest,
    PhotoForm,
    SaveDepartmentRequest,
    SaveDepartmentResponse,
)


def list_all(caller: Caller) -> list[Department]:
    """Return the departments in the tenant's order."""
    found = departments.list_all(mysql.autocommit, caller.tenant_id)
    return [_build_department(department) for department in found]


def save(caller: Caller, request: SaveDepartmentRequest) -> SaveDepartmentResponse:
    """Create a department, or change the one with this dept_id. Fields that the request leaves out stay as they are.

    A double click creates one.

    Raises:
        ApiError: 404 if the tenant has no such department or photo; 409 if it has a department of this name, or if the
            photo is not uploaded.
    """
    changes: dict[str, Any] = {"name": request.name}
    if "order" in request.model_fields_set:
        changes["sort"] = request.order
    if "introduction" in request.model_fields_set:
        changes["introduction"] = request.introduction
    if "photo_file_id" in request.model_fields_set:
        changes["photo_key"] = _get_photo_key(caller, request)
    try:
        dept_id = mysql.run_transaction(lambda tx: _create_or_update(tx, caller.tenant_id, request, changes))
    except mysql.DuplicateKeyError:
        earlier = _find_double_submission(caller, changes) if request.dept_id is None else None
        if earlier is None:
            raise ApiError(errors.CONFLICT, "科室名称已存在") from None
        dept_id = earlier
    return SaveDepartmentResponse(dept_id=str(dept_id))


def create_photo_form(caller: Caller, request: DepartmentPhotoFormRequest) -> PhotoForm:
    """Return an upload form for a picture of a department. `save` then makes it the photo.

    Raises:
        ApiError: 400 for a type or size that is not allowed, 404 if the tenant has no such department.
    """
    terms = file_types.build_upload_terms(Purpose.PHOTO, request.file_extension, request.file_type, request.file_size)
    if not departments.exists(mysql.autocommit, caller.tenant_id, request.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    ticket = upload_forms.issue(caller, _format_place(request.dept_id), terms)
    return PhotoForm(url=ticket.form.url, file_id=str(ticket.file_id), fields=ticket.form.fields)


def _create_or_update(tx: Tx, tenant_id: int, request: SaveDepartmentRequest, changes: dict[str, Any]) -> int:
    dept_id = request.dept_id or departments.create(tx, tenant_id, request.name)
    department = departments.find_for_update(tx, tenant_id, dept_id)
    if department is None:
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    departments.update(tx, tenant_id, replace(department, **changes))
    return dept_id


def _find_double_submission(caller: Caller, changes: dict[str, Any]) -> int | None:
    """Return the department that an equal request has just created, or None."""
    since = clock.now() - double_submission.WINDOW
    found = departments.find_created_since(mysql.autocommit, caller.tenant_id, changes["name"], since)
    return found.dept_id if found and replace(found, **changes) == found else None


def _get_photo_key(caller: Caller, request: SaveDepartmentRequest) -> str:
    if request.photo_file_id is None:
        return ""
    place = _format_place(request.dept_id)  # a new department cannot have an upload yet
    return confirmation.confirm_upload_for_place(
        caller.tenant_id, caller.principal, place, request.photo_file_id
    ).object_key


def _format_place(dept_id: int | None) -> str:
    return f"department:{dept_id}"


def _build_department(department: departments.Department) -> Department:
    return Department(
        dept_id=str(department.dept_id),
        name=department.name,
        order=department.sort,
        introduction=department.introduction,
        photo_url=links.sign(department.photo_key) if department.photo_key else "",
    )
