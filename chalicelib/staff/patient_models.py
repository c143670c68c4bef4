"""What crosses the wire of patient files, and of the log of who read them."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from chalicelib.http.fields import (
    Birthday,
    Gender,
    Id,
    IdIfAny,
    IdText,
    Name,
    PageAsked,
    Phone,
    PhoneIfAny,
    Relation,
    Wire,
    if_any,
)
from chalicelib.staff.label_models import Label

RELATIONS = "1 本人，2 配偶，3 父母，4 子女，5 其他亲属，9 其他"
Place = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
RelationIfAny = Annotated[
    Relation | None,
    BeforeValidator(if_any),
    WithJsonSchema({"type": ["integer", "string", "null"], "enum": [1, 2, 3, 4, 5, 9, "", None]}),
]


class LabelGiven(Wire):
    label_id: Id = Field(examples=["1"])
    label_name: str | None = Field(None, max_length=64)


class PatientSaved(Wire):
    """A file as staff fill it in. Where a file is changed, what is left out stays as it is."""

    pati_id: IdIfAny = Field(None, description="空：新增", examples=[""])
    pati_name: Name = Field(examples=["林小雨"])
    pati_gender: Gender = Field(description="0 未知，1 男，2 女，9 未说明", examples=["2"])
    pati_birthday: Birthday = Field(examples=["1990-05-17"])
    pati_phone: Phone
    pati_id_type: str = Field("", description="99（或 01）身份证", max_length=2, pattern="^[0-9A-Z]*$", examples=["99"])
    pati_id_number: str = Field("", max_length=32, pattern="^[0-9A-Za-z()-]*$", examples=[""])
    pati_province: Place = Field("", examples=["北京市"])
    pati_city: Place = Field("", examples=["北京市"])
    pati_county: Place = Field("", examples=["朝阳区"])
    pati_address: str = Field("", max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["建国路 1 号"])
    cont_name: Place = Field("", examples=["王强"])
    cont_relation: RelationIfAny = Field(None, description=RELATIONS, examples=[2])
    cont_phone: PhoneIfAny = ""
    pati_group_id: IdIfAny = Field(None, description="空：不在任何分组")
    labels: list[LabelGiven] | None = Field(None, validation_alias="list", description="标签", max_length=100)


class SavedPatient(Wire):
    pati_id: IdText = Field(examples=["1"])
    list: list[Label]


class PatientAsked(Wire):
    pati_id: Id = Field(examples=["1"])


class PatientInfo(Wire):
    pati_id: IdText = Field(examples=["1"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_birthday: str = Field(examples=["1990-05-17"])
    pati_age: str = Field(examples=["36岁"])
    pati_phone: str = Field(examples=["13800000001"])
    pati_create_time: str = Field(examples=["2026-01-05 09:30:00"])
    pati_group_id: str = Field(examples=["1"])
    pati_group_name: str = Field(examples=["慢病"])
    list: list[Label]
    pati_id_type: str = Field(examples=["99"])
    pati_id_number: str = Field(examples=["11010519491231002X"])
    pati_province: str = Field(examples=["北京市"])
    pati_city: str = Field(examples=["北京市"])
    pati_county: str = Field(examples=["朝阳区"])
    pati_address: str = Field(examples=["建国路 1 号"])
    pati_splice_address: str = Field(examples=["北京市朝阳区建国路 1 号"])
    cont_name: str = Field(examples=["王强"])
    cont_relation: int | None = Field(description=RELATIONS, examples=[2])
    cont_phone: str = Field(examples=["13800000002"])
    pati_photo: str = Field(examples=[""])
    trea_id: str = Field(description="最近一次就诊", examples=[""])


class PatientsAsked(PageAsked):
    pati_name: str | None = Field(None, description="姓名中的字", max_length=64)
    pati_phone: PhoneIfAny = ""
    pati_id_number: str = Field("", max_length=32, pattern="^[0-9A-Za-z()-]*$")
    label_id: IdIfAny = Field(None, description="分组或标签")


class ListedPatient(Wire):
    pati_id: IdText = Field(examples=["1"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_age: str = Field(examples=["36岁"])
    pati_phone: str = Field(examples=["138****0001"])
    pati_create_time: str = Field(examples=["2026-01-05 09:30:00"])


class AccessAsked(PageAsked):
    pati_id: IdIfAny = None
    user_id: IdIfAny = Field(None, description="员工")


class Access(Wire):
    entry_id: IdText = Field(examples=["1"])
    at: str = Field(examples=["2026-01-05 09:30:00"])
    user_id: IdText = Field(examples=["3"])
    user_name: str = Field(examples=["陈医生"])
    pati_id: IdText = Field(examples=["1"])
    pati_name: str = Field(examples=["林小雨"])
    action: str = Field(description="read 查看，filed 建档，changed 修改", examples=["read"])
