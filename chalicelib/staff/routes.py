"""Endpoints of document 003 for staff (manager_service), and administration endpoints of our own.

access_routes.py has those by which staff sign in and administrators manage staff.
"""

from chalicelib.errors import CONFLICT, NOT_FOUND, RATE_LIMITED, REASON_REQUIRED
from chalicelib.http.fields import Page
from chalicelib.http.routing import IdempotencyKeyHeader, OptionalTenantCaller, RateLimit, RawContent
from chalicelib.identity.callers import Caller, Role
from chalicelib.staff import (
    bar_codes,
    department_admin,
    doctor_admin,
    labels,
    patient_files,
    patient_saving,
    stored_messages,
    withdrawn_messages,
)
from chalicelib.staff.front_desk_routes import DESK_ROLES, NOT_FOUND_OR_CONFLICT, routes
from chalicelib.staff.label_models import (
    CountedLabels,
    DeleteLabelRequest,
    LabelCountQuery,
    LabelQuery,
    Labels,
    SaveLabelRequest,
)
from chalicelib.staff.models import BarCodeLink, BarCodeTicket, MemberQuery
from chalicelib.staff.patient_models import (
    Access,
    AccessLogQuery,
    ListedPatient,
    PatientInfo,
    PatientListQuery,
    PatientQuery,
    SavePatientRequest,
    SavePatientResponse,
)
from chalicelib.staff.staff_models import (
    Department,
    DepartmentPhotoFormRequest,
    DoctorListQuery,
    DoctorPhotoFormRequest,
    DoctorProfile,
    DoctorProfileListQuery,
    ListedDoctor,
    PhotoForm,
    SaveDepartmentRequest,
    SaveDepartmentResponse,
    SaveDoctorRequest,
)
from chalicelib.staff.stored_models import StoredMessages, StoredMessagesQuery
from chalicelib.staff.withdrawn_models import (
    OriginalMessage,
    WithdrawnMessage,
    WithdrawnMessageListQuery,
    WithdrawnMessageQuery,
)

__all__ = ["routes"]  # of the whole group: also those of access_routes.py and front_desk_routes.py

STAFF_ROLES = [Role.DOCTOR, *DESK_ROLES]


@routes.get("/pati_service/manager_service/list", callers=STAFF_ROLES)
def list_labels(caller: Caller, query: LabelQuery) -> Labels:
    """查询患者服务分组或标签"""
    return labels.list_all(caller, query)


@routes.get("/pati_service/manager_service/list_person_count", callers=STAFF_ROLES)
def list_person_count(caller: Caller, query: LabelCountQuery) -> CountedLabels:
    """查询患者服务分组或标签(带人数)

    Without page_num and page_size, all are returned. person_numbers counts all patients of the hospital.
    """
    return labels.list_with_counts(caller, query)


@routes.post("/pati_service/manager_service/save_group_label", callers=DESK_ROLES, errors=NOT_FOUND_OR_CONFLICT)
def save_group_label(caller: Caller, body: SaveLabelRequest, idempotency_key: IdempotencyKeyHeader) -> None:
    """新增和修改患者服务分组和标签

    A name is unique among the hospital's groups, and among its labels. A request that is repeated with its
    Idempotency-Key or, without one, within 5 s is no error.
    """
    labels.save(caller, body, idempotency_key)


@routes.post("/pati_service/manager_service/del_group_label", callers=DESK_ROLES, errors=[NOT_FOUND])
def del_group_label(caller: Caller, body: DeleteLabelRequest) -> None:
    """删除患者服务分组和标签

    Also removes it from its patients.
    """
    labels.delete(caller, body)


@routes.get("/pati_service/manager_service/pati_info", callers=STAFF_ROLES, errors=[NOT_FOUND, REASON_REQUIRED])
def pati_info(caller: Caller, query: PatientQuery) -> PatientInfo:
    """查询患者信息

    The whole file, unmasked. Doctors open the files of their own patients; any other file, and a file in storage, for a
    reason only (403, 10105 without one). Each access is logged with caller, time and reason, and stays in the log.
    """
    return patient_files.get_info(caller, query)


@routes.post(
    "/pati_service/manager_service/patient", callers=STAFF_ROLES, errors=[NOT_FOUND, CONFLICT, REASON_REQUIRED]
)
def patient(caller: Caller, body: SavePatientRequest, idempotency_key: IdempotencyKeyHeader) -> SavePatientResponse:
    """患者服务建档

    Without pati_id, creates a file, which a document verifies, or changes the verified one with this document (409 if
    it has another name). With pati_id, changes that file; fields that are left out stay as they are. Requests with one
    Idempotency-Key create one file; so do equal requests of one person without a key within 5 s. label_name and
    label_id are the first of the labels. Changing a file needs a reason where opening it does (pati_info).
    """
    return patient_saving.save(caller, body, idempotency_key)


@routes.get("/pati_service/manager_service/patient_list", callers=STAFF_ROLES, limit=RateLimit.SEARCHES)
def patient_list(caller: Caller, query: PatientListQuery) -> Page[ListedPatient]:
    """查找患者

    Filters: the beginning of the name, the whole phone, the whole number of any document, the number in a bar code or
    on a visit card, a group or label. Phones are masked. Doctors find their own patients; with a reason, which is
    logged, all patients of the hospital.
    """
    return patient_files.search(caller, query)


@routes.get("/pati_service/manager_service/access_log", callers=[Role.ADMIN])
def access_log(caller: Caller, query: AccessLogQuery) -> Page[Access]:
    """查询患者档案的查阅记录

    Which member of staff read or changed which patient's file, newest first. break_glass=true selects what needed a
    reason: doctors' access to patients who are not their own, their searches of the hospital, files in storage.
    """
    return patient_files.list_accesses(caller, query)


@routes.get(
    "/pati_service/wechat/query_bar_code",
    callers=[Role.PATIENT, Role.SERVICE_STAFF, Role.ADMIN],
    errors=[NOT_FOUND],
    raw_content_type="image/png",
)
def query_bar_code(caller: Caller, query: MemberQuery) -> RawContent:
    """微信用户信息条形码查询

    The number of a member's patient file as a Code 128 bar code. Patients see their own members, staff all members.
    An `<img>` cannot send the token: its `src` is the link of `bar_code_link`.
    """
    return bar_codes.get_bar_code(caller, query.member_id)


@routes.get(
    "/pati_service/wechat/bar_code_link",
    callers=[Role.PATIENT, Role.SERVICE_STAFF, Role.ADMIN],
    errors=[NOT_FOUND],
)
def bar_code_link(caller: Caller, query: MemberQuery) -> BarCodeLink:
    """条形码图片的链接

    For the `src` of an `<img>`, which sends no headers: valid for 30 minutes, for this bar code only.
    """
    return bar_codes.create_link(caller, query.member_id)


@routes.get("/pati_service/wechat/bar_code", callers=[Role.PUBLIC], errors=[NOT_FOUND], raw_content_type="image/png")
def bar_code(caller: OptionalTenantCaller, query: BarCodeTicket) -> RawContent:  # noqa: ARG001  # the ticket decides
    """条形码图片

    The picture to which a link of `bar_code_link` leads. It needs no token.
    """
    return bar_codes.get_bar_code_by_ticket(query.ticket)


@routes.get("/pati_service/manager_service/doctor_list", callers=[Role.PATIENT, *STAFF_ROLES], limit=RateLimit.SEARCHES)
def doctor_list(caller: Caller, query: DoctorListQuery) -> Page[ListedDoctor]:
    """咨询时医生列表

    Active doctors in the hospital's order. doctor_name filters by a part of the name.
    """
    return doctor_admin.search(caller, query)


@routes.get("/pati_service/manager_service/withdrawn_messages", callers=[Role.ADMIN])
def list_withdrawn_messages(caller: Caller, query: WithdrawnMessageListQuery) -> list[WithdrawnMessage]:
    """撤回消息列表

    Of all conversations of the hospital, the last withdrawn first: who withdrew which message, when and why, without
    its content. The next page begins before the last withdrawal_id.
    """
    return withdrawn_messages.list_all(caller, query)


@routes.get("/pati_service/manager_service/withdrawn_message", callers=[Role.ADMIN], errors=[NOT_FOUND])
def withdrawn_message(caller: Caller, query: WithdrawnMessageQuery) -> OriginalMessage:
    """查阅已撤回消息的原文

    The content that the message had. Each access is entered into the audit log with its reason. The link of a picture
    is valid for 30 minutes.
    """
    return withdrawn_messages.get_original(caller, query)


@routes.get("/pati_service/manager_service/stored_messages", callers=[Role.DOCTOR, Role.ADMIN], errors=[NOT_FOUND])
def list_stored_messages(caller: Caller, query: StoredMessagesQuery) -> StoredMessages:
    """查阅已注销账号的问诊记录

    The consultations of a closed account about a patient, and a page of the messages of one of them, newest first; the
    next page is older than the last msg_id. 404 unless the account is closed. Each access is entered into the audit log
    with its reason.
    """
    return stored_messages.list_page(caller, query)


@routes.get("/pati_service/manager_service/departments", callers=STAFF_ROLES)
def list_departments(caller: Caller) -> list[Department]:
    """科室列表"""
    return department_admin.list_all(caller)


@routes.post("/pati_service/manager_service/save_department", callers=[Role.ADMIN], errors=NOT_FOUND_OR_CONFLICT)
def save_department(caller: Caller, body: SaveDepartmentRequest) -> SaveDepartmentResponse:
    """新增和修改科室

    Fields that are left out stay as they are, except the name. Upload a photo first (department_photo).
    """
    return department_admin.save(caller, body)


@routes.post("/pati_service/manager_service/department_photo", callers=[Role.ADMIN], errors=[NOT_FOUND, RATE_LIMITED])
def department_photo(caller: Caller, body: DepartmentPhotoFormRequest) -> PhotoForm:
    """科室照片预上传

    Post `fields` to `url` unchanged, with `file` as the last field; then send file_id to save_department.
    """
    return department_admin.create_photo_form(caller, body)


@routes.get("/pati_service/manager_service/doctor_profiles", callers=[Role.ADMIN], limit=RateLimit.SEARCHES)
def doctor_profiles(caller: Caller, query: DoctorProfileListQuery) -> Page[DoctorProfile]:
    """医生资料"""
    return doctor_admin.list_profiles(caller, query)


@routes.post("/pati_service/manager_service/save_doctor", callers=[Role.ADMIN], errors=NOT_FOUND_OR_CONFLICT)
def save_doctor(caller: Caller, body: SaveDoctorRequest) -> None:
    """修改医生资料

    Fields that are left out stay as they are. Upload a photo first (doctor_photo).
    """
    doctor_admin.save(caller, body)


@routes.post("/pati_service/manager_service/doctor_photo", callers=[Role.ADMIN], errors=[NOT_FOUND, RATE_LIMITED])
def doctor_photo(caller: Caller, body: DoctorPhotoFormRequest) -> PhotoForm:
    """医生照片预上传

    Post `fields` to `url` unchanged, with `file` as the last field; then send file_id to save_doctor.
    """
    return doctor_admin.create_photo_form(caller, body)
