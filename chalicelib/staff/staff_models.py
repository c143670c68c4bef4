"""Requests and responses of the administration of staff, departments and doctors."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.http.fields import (
    Id,
    IdText,
    Name,
    OptionalId,
    PageNum,
    PageQuery,
    PageSize,
    Phone,
    SafeInt,
    StaffPassword,
    WireModel,
    empty_to_none,
)
from chalicelib.http.file_fields import FileHints

StaffRoleName = Literal["doctor", "service_staff", "admin"]
SortOrder = Annotated[SafeInt, Field(ge=0, le=1_000_000)]
DutyCode = Annotated[Literal["", "0", "1", "2", "3", "4"], BeforeValidator(lambda v: str(v) if v in range(5) else v)]
Introduction = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
ROLE_DESCRIPTION = "doctor 医生，service_staff 客服，admin 管理员"
DUTY_CODE_DESCRIPTION = "0 医士，1 医师，2 主治医师，3 副主任医师，4 主任医师"


class StaffListQuery(PageQuery):
    """Filters of the list of staff."""

    name: str | None = Field(None, description="姓名中的字", max_length=64)
    role: StaffRoleName | None = Field(None, description=ROLE_DESCRIPTION)


class ListedStaff(WireModel):
    """A member of staff in a list."""

    user_id: IdText = Field(examples=["3"])
    name: str = Field(examples=["陈医生"])
    role: str = Field(description=ROLE_DESCRIPTION, examples=["doctor"])
    phone: str = Field(examples=["139****0001"])
    disabled: bool = Field(examples=[False])
    second_factor: bool = Field(description="是否已启用动态验证码", examples=[True])
    create_time: str = Field(examples=["2026-01-05 09:30:00"])


class CreateStaffRequest(WireModel):
    """A new member of staff."""

    name: Name = Field(examples=["赵医生"])
    phone: Phone = Field(examples=["13900000009"])
    role: StaffRoleName = Field(description=ROLE_DESCRIPTION, examples=["doctor"])
    password: StaffPassword


OptionalName = Annotated[Name | None, BeforeValidator(empty_to_none)]
OptionalStaffPhone = Annotated[Phone | None, BeforeValidator(empty_to_none)]


class StaffReference(WireModel):
    """A member of staff."""

    user_id: Id = Field(examples=["1024"])


class CreateStaffResponse(WireModel):
    """The id of the new member of staff."""

    user_id: IdText = Field(examples=["3"])


class ChangeStaffRoleRequest(StaffReference):
    """The new role of a member of staff."""

    role: StaffRoleName = Field(description=ROLE_DESCRIPTION, examples=["doctor"])


class ChangeStaffDetailsRequest(StaffReference):
    """The new name and phone of a member of staff; what is left out stays as it is."""

    name: OptionalName = Field(None, description="空：不变", examples=["周医生"])
    phone: OptionalStaffPhone = Field(None, description="登录用的手机号；空：不变", examples=[""])


class ResetStaffPasswordRequest(StaffReference):
    """The new password of a member of staff."""

    password: StaffPassword


class SaveDepartmentRequest(WireModel):
    """The form of a department. Fields that a change leaves out stay as they are, except the name."""

    dept_id: OptionalId = Field(None, description="空：新增", examples=[""])
    name: Name = Field(examples=["内科"])
    order: SortOrder = Field(0, description="小的在前", examples=[1])
    introduction: Introduction = Field("", examples=["擅长呼吸系统常见病。"])
    photo_file_id: OptionalId = Field(None, description="department_photo 的 file_id，已上传；空：没有照片")


class SaveDepartmentResponse(WireModel):
    """The id of the department."""

    dept_id: IdText = Field(examples=["1"])


class Department(WireModel):
    """A department."""

    dept_id: IdText = Field(examples=["1"])
    name: str = Field(examples=["内科"])
    order: int = Field(examples=[1])
    introduction: str = Field(examples=["擅长呼吸系统常见病。"])
    photo_url: str = Field(description="30 分钟有效", examples=[""])


class DoctorId(WireModel):
    """A doctor."""

    doctor_id: Id = Field(examples=["3"])


class DoctorProfile(WireModel):
    """The profile of a doctor."""

    doctor_id: IdText = Field(examples=["3"])
    doctor_name: str = Field(examples=["陈医生"])
    dept_id: str = Field(examples=["1"])
    dept_name: str = Field(examples=["内科"])
    duty_code: str = Field(description=DUTY_CODE_DESCRIPTION, examples=["4"])
    title: str = Field(examples=["主任医师"])
    photo_url: str = Field(description="30 分钟有效", examples=[""])
    expert: str = Field(examples=["呼吸系统疾病"])
    introduction: str = Field(examples=["从医二十年。"])
    order: int = Field(examples=[1])


class SaveDoctorRequest(DoctorId):
    """The form of a doctor's profile. Fields that are left out stay as they are."""

    dept_id: OptionalId = Field(None, description="空：不属于任何科室")
    duty_code: DutyCode = Field("", description=DUTY_CODE_DESCRIPTION, examples=["4"])
    title: str = Field("", description="空：按 duty_code", max_length=64, pattern=r"^[^\x00]*$", examples=["主任医师"])
    photo_file_id: OptionalId = Field(None, description="doctor_photo 的 file_id，已上传；空：没有照片")
    expert: str = Field("", max_length=255, pattern=r"^[^\x00]*$", examples=["呼吸系统疾病"])
    introduction: Introduction = Field("", examples=["从医二十年。"])
    order: SortOrder = Field(0, description="小的在前", examples=[1])


class DoctorPhotoFormRequest(FileHints):
    """A photo of a doctor that will be uploaded."""

    doctor_id: Id = Field(examples=["3"])


class DepartmentPhotoFormRequest(FileHints):
    """A photo of a department that will be uploaded."""

    dept_id: Id = Field(examples=["1"])


class PhotoForm(WireModel):
    """A form that uploads the photo to S3."""

    url: str
    file_id: IdText = Field(examples=["17"])
    fields: dict[str, str] = Field(description="完整的表单：原样提交所有字段，最后加上 file；15 分钟内有效")


class DoctorProfileListQuery(PageQuery):
    """Filters of the list of profiles."""

    doctor_name: str | None = Field(None, description="姓名中的字", max_length=64, examples=["陈"])


class DoctorListQuery(DoctorProfileListQuery):
    """A page of doctors. Document 003 requires both page fields here."""

    page_num: PageNum = Field(examples=[1])
    page_size: PageSize = Field(examples=[10])


class ListedDoctor(WireModel):
    """A doctor in a list."""

    doctor_id: IdText = Field(examples=["3"])
    doctor_name: str = Field(examples=["陈医生"])
    doctor_photo_url: str = Field(examples=[""])
    doctor_title: str = Field(examples=["主任医师"])
    doctor_expert: str = Field(examples=["呼吸系统疾病"])
