"""The staff's side of document 003 (manager_service), and administration of our own."""

from chalicelib.errors import BAD_CREDENTIALS, CONFLICT, NOT_FOUND, TOO_MANY_REQUESTS
from chalicelib.http.fields import Page
from chalicelib.http.routing import Key, Raw, Routes
from chalicelib.identity.callers import ADMIN, DOCTOR, PATIENT, PUBLIC, SERVICE_STAFF, Caller
from chalicelib.staff import bar_codes, department_admin, doctor_admin, labels, patient_files, sign_in, staff_admin
from chalicelib.staff.label_models import CountedLabels, CountsAsked, LabelDeleted, Labels, LabelsAsked, LabelSaved
from chalicelib.staff.models import MemberAsked, SignedInStaff, StaffSignIn
from chalicelib.staff.patient_models import (
    Access,
    AccessAsked,
    ListedPatient,
    PatientAsked,
    PatientInfo,
    PatientsAsked,
    PatientSaved,
    SavedPatient,
)
from chalicelib.staff.staff_models import (
    CreatedStaff,
    Department,
    DepartmentPhotoWanted,
    DepartmentSaved,
    DoctorProfile,
    DoctorProfilesAsked,
    DoctorsAsked,
    DoctorSaved,
    ListedDoctor,
    ListedStaff,
    PhotoForm,
    PhotoWanted,
    SavedDepartment,
    StaffAsked,
    StaffCreated,
    StaffId,
    StaffPassword,
    StaffRole,
)

routes = Routes(__name__)
STAFF = [DOCTOR, SERVICE_STAFF, ADMIN]
DESK = [SERVICE_STAFF, ADMIN]
GONE_OR_TAKEN = [NOT_FOUND, CONFLICT]


@routes.post("/pati_service/manager_service/login", callers=[PUBLIC], refusals=[BAD_CREDENTIALS, TOO_MANY_REQUESTS])
def login(caller: Caller, body: StaffSignIn) -> SignedInStaff:
    """员工登录

    Staff sign in with phone and password (an endpoint of ours: the documents leave it to a system we do not have).
    Five failures of one phone from one address lock it for 15 minutes.
    """
    return sign_in.with_password(caller, body)


@routes.get("/pati_service/manager_service/list", callers=STAFF)
def list_labels(caller: Caller, query: LabelsAsked) -> Labels:
    """查询患者服务分组或标签"""
    return labels.list_all(caller, query)


@routes.get("/pati_service/manager_service/list_person_count", callers=STAFF)
def list_person_count(caller: Caller, query: CountsAsked) -> CountedLabels:
    """查询患者服务分组或标签(带人数)

    Without page_num and page_size: everything. person_numbers counts all patients of the hospital.
    """
    return labels.list_counted(caller, query)


@routes.post("/pati_service/manager_service/save_group_label", callers=DESK, refusals=GONE_OR_TAKEN)
def save_group_label(caller: Caller, body: LabelSaved) -> None:
    """新增和修改患者服务分组和标签

    A name is unique among the hospital's groups, and among its labels.
    """
    labels.save(caller, body)


@routes.post("/pati_service/manager_service/del_group_label", callers=DESK, refusals=[NOT_FOUND])
def del_group_label(caller: Caller, body: LabelDeleted) -> None:
    """删除患者服务分组和标签

    Takes it off its patients too.
    """
    labels.delete(caller, body)


@routes.get("/pati_service/manager_service/pati_info", callers=STAFF, refusals=[NOT_FOUND])
def pati_info(caller: Caller, query: PatientAsked) -> PatientInfo:
    """查询患者信息

    The whole file, nothing masked. That it was opened, by whom and when, is kept for ever.
    """
    return patient_files.info(caller, query.pati_id)


@routes.post("/pati_service/manager_service/patient", callers=STAFF, refusals=GONE_OR_TAKEN)
def patient(caller: Caller, body: PatientSaved, key: Key) -> SavedPatient:
    """患者服务建档

    Without pati_id a new file, or the one that has this ID number (409 if under another name). With pati_id that file
    is changed: fields that are left out stay as they are. Sent again with the same Idempotency-Key it is one file.
    """
    return patient_files.save(caller, body, key)


@routes.get("/pati_service/manager_service/patient_list", callers=STAFF)
def patient_list(caller: Caller, query: PatientsAsked) -> Page[ListedPatient]:
    """查找患者

    By the beginning of the name, the whole phone or 身份证 number, or a group or label. Phones are masked.
    """
    return patient_files.search(caller, query)


@routes.get("/pati_service/manager_service/access_log", callers=[ADMIN])
def access_log(caller: Caller, query: AccessAsked) -> Page[Access]:
    """查询患者档案的查阅记录

    Who opened or changed which patient's file, the latest first.
    """
    return patient_files.accesses(caller, query)


@routes.get(
    "/pati_service/wechat/query_bar_code",
    callers=[PATIENT, SERVICE_STAFF, ADMIN],
    refusals=[NOT_FOUND],
    raw="image/png",
)
def query_bar_code(caller: Caller, query: MemberAsked) -> Raw:
    """微信用户信息条形码查询

    The number of a member's patient file as a Code 128 bar code. Patients see their own members', staff everybody's.
    """
    return bar_codes.bar_code_of(caller, query.member_id)


@routes.get("/pati_service/manager_service/doctor_list", callers=[PATIENT, *STAFF])
def doctor_list(caller: Caller, query: DoctorsAsked) -> Page[ListedDoctor]:
    """咨询时医生列表

    Working doctors in the hospital's order; with doctor_name those whose name contains it.
    """
    return doctor_admin.search(caller, query)


@routes.get("/pati_service/manager_service/staff_list", callers=[ADMIN])
def staff_list(caller: Caller, query: StaffAsked) -> Page[ListedStaff]:
    """员工列表"""
    return staff_admin.search(caller, query)


@routes.post("/pati_service/manager_service/staff", callers=[ADMIN], refusals=[CONFLICT])
def create_staff(caller: Caller, body: StaffCreated) -> CreatedStaff:
    """新增员工"""
    return staff_admin.create(caller, body)


@routes.post("/pati_service/manager_service/staff_role", callers=[ADMIN], refusals=GONE_OR_TAKEN)
def staff_role(caller: Caller, body: StaffRole) -> None:
    """更改员工角色

    Acts on the sessions that are open. Nobody changes their own.
    """
    staff_admin.change_role(caller, body)


@routes.post("/pati_service/manager_service/staff_disable", callers=[ADMIN], refusals=GONE_OR_TAKEN)
def staff_disable(caller: Caller, body: StaffId) -> None:
    """停用员工

    Their open sessions are locked at once. Nobody disables themselves.
    """
    staff_admin.disable(caller, body)


@routes.post("/pati_service/manager_service/staff_enable", callers=[ADMIN], refusals=[NOT_FOUND])
def staff_enable(caller: Caller, body: StaffId) -> None:
    """启用员工"""
    staff_admin.enable(caller, body)


@routes.post("/pati_service/manager_service/staff_password", callers=[ADMIN], refusals=[NOT_FOUND])
def staff_password(caller: Caller, body: StaffPassword) -> None:
    """重置员工密码

    Ends every session of theirs.
    """
    staff_admin.reset_password(caller, body)


@routes.get("/pati_service/manager_service/departments", callers=STAFF)
def list_departments(caller: Caller) -> list[Department]:
    """科室列表"""
    return department_admin.list_all(caller)


@routes.post("/pati_service/manager_service/save_department", callers=[ADMIN], refusals=GONE_OR_TAKEN)
def save_department(caller: Caller, body: DepartmentSaved) -> SavedDepartment:
    """新增和修改科室

    Beyond the name, what is left out stays as it is. A photo is uploaded first (department_photo).
    """
    return department_admin.save(caller, body)


@routes.post("/pati_service/manager_service/department_photo", callers=[ADMIN], refusals=[NOT_FOUND])
def department_photo(caller: Caller, body: DepartmentPhotoWanted) -> PhotoForm:
    """科室照片预上传

    Post `fields` to `url` as they are, then `file`, last; then name file_id in save_department.
    """
    return department_admin.photo_form(caller, body)


@routes.get("/pati_service/manager_service/doctor_profiles", callers=[ADMIN])
def doctor_profiles(caller: Caller, query: DoctorProfilesAsked) -> Page[DoctorProfile]:
    """医生资料"""
    return doctor_admin.profiles(caller, query)


@routes.post("/pati_service/manager_service/save_doctor", callers=[ADMIN], refusals=GONE_OR_TAKEN)
def save_doctor(caller: Caller, body: DoctorSaved) -> None:
    """修改医生资料

    Fields that are left out stay as they are. A photo is uploaded first (doctor_photo).
    """
    doctor_admin.save(caller, body)


@routes.post("/pati_service/manager_service/doctor_photo", callers=[ADMIN], refusals=[NOT_FOUND])
def doctor_photo(caller: Caller, body: PhotoWanted) -> PhotoForm:
    """医生照片预上传

    Post `fields` to `url` as they are, then `file`, last; then name file_id in save_doctor.
    """
    return doctor_admin.photo_form(caller, body)
