"""Requests and responses of patient files and their access log."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.http.fields import (
    Birthday,
    Boolean,
    ContactPhone,
    Gender,
    GuardianRelation,
    Id,
    IdText,
    Name,
    OptionalContactPhone,
    OptionalId,
    OptionalReason,
    PageQuery,
    Relation,
    WireModel,
    empty_to_none,
)
from chalicelib.http.identity_fields import (
    COUNTRY_DESCRIPTION,
    ID_TYPE_DESCRIPTION,
    PROTOCOL_TYPE_DESCRIPTION,
    CountryText,
    IdNumberText,
    IdTypeText,
)
from chalicelib.staff.label_models import Label

STATUS_DESCRIPTION = "declared 未核验，verified 已核验，temporary 临时（无名氏），merged 已合并"
RELATION_DESCRIPTION = "1 本人，2 配偶，3 父母，4 子女，5 其他亲属，9 其他"
ShortText = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
FileReason = Annotated[
    OptionalReason,
    Field(
        description="查阅原因，记入查阅记录；医生打开非本人患者的档案、打开已封存的档案时必填", examples=["急诊会诊"]
    ),
]
OptionalBoolean = Annotated[Boolean | None, BeforeValidator(empty_to_none)]
OptionalBirthday = Annotated[Birthday | None, BeforeValidator(empty_to_none)]
OptionalRelation = Annotated[Relation | None, BeforeValidator(empty_to_none)]


class LabelReference(WireModel):
    """A label of a patient, by its id."""

    label_id: Id = Field(examples=["1"])
    label_name: str | None = Field(None, max_length=64)


class DocumentFields(WireModel):
    """A document of a patient."""

    id_type: IdTypeText = Field("", description=f"{PROTOCOL_TYPE_DESCRIPTION}；空：99", examples=["03"])
    id_number: IdNumberText = Field(examples=["E12345678"])
    id_country: CountryText = Field("", description=COUNTRY_DESCRIPTION, examples=["USA"])
    verified: OptionalBoolean = Field(None, description="false：未核对原件，只登记，不能证明身份；空：已核对")


class PatientGuardianFields(WireModel):
    """The guardian of a child: a new one, or as pati_info has shown them."""

    name: Name = Field(examples=["林大山"])
    idType: IdTypeText = Field("", description=f"{ID_TYPE_DESCRIPTION}；空：01", examples=["01"])
    IDNo: IdNumberText = Field(
        "", description="证件号码；或用 id_number；都为空：同一监护人的证件不变", examples=["11010519491231002X"]
    )
    id_type: IdTypeText = Field("", description=f"id_number 的类型。{PROTOCOL_TYPE_DESCRIPTION}；空：99", examples=[""])
    id_number: IdNumberText = Field("", description="同 pati_info 的 guardian.id_number", examples=[""])
    phone: ContactPhone
    relation: GuardianRelation = Field(description="监护人是儿童的：3 父母，5 其他亲属，9 其他", examples=[3])
    consent: Literal[True] | None = Field(
        None, description="监护人同意处理儿童的个人信息；监护人未改动时可不传", examples=[True]
    )


class SavePatientRequest(WireModel):
    """The form of a patient file. Fields that a change leaves out stay as they are."""

    pati_id: OptionalId = Field(None, description="空：新增", examples=[""])
    pati_name: Name = Field(examples=["林小雨"])
    pati_gender: Gender = Field(description="0 未知，1 男，2 女，9 未说明", examples=["2"])
    pati_birthday: OptionalBirthday = Field(description="空：只用于还没有出生日期的临时档案", examples=["1990-05-17"])
    pati_phone: OptionalContactPhone = Field(description="空：只用于还没有手机号的档案", examples=["13800000001"])
    pati_id_type: IdTypeText = Field("", description=f"{PROTOCOL_TYPE_DESCRIPTION}；空：99", examples=["99"])
    pati_id_number: IdNumberText = Field("", examples=["", "11010519491231002X"])
    pati_id_country: CountryText = Field("", description=COUNTRY_DESCRIPTION, examples=[""])
    documents: list[DocumentFields] | None = Field(None, description="其他证件；不传则不变", max_length=20)
    guardian: PatientGuardianFields | None = Field(None, description="监护人；不传则不变")
    pati_province: ShortText = Field("", examples=["北京市"])
    pati_city: ShortText = Field("", examples=["北京市"])
    pati_county: ShortText = Field("", examples=["朝阳区"])
    pati_address: str = Field("", max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["建国路 1 号"])
    cont_name: ShortText = Field("", examples=["王强"])
    cont_relation: OptionalRelation = Field(None, description=RELATION_DESCRIPTION, examples=[2])
    cont_phone: OptionalContactPhone = ""
    pati_group_id: OptionalId = Field(None, description="空：不在任何分组")
    labels: list[LabelReference] | None = Field(None, validation_alias="list", description="标签", max_length=100)
    reason: FileReason = None


class SavePatientResponse(WireModel):
    """The id and the labels of the file."""

    pati_id: IdText = Field(examples=["1"])
    label_name: str = Field(description="第一个标签的名称；没有标签则为空，全部见 list", examples=["高血压"])
    label_id: str = Field(description="第一个标签的编码", examples=["1"])
    list: list[Label]


class PatientQuery(WireModel):
    """A patient file, and why it is opened."""

    pati_id: Id = Field(examples=["1"])
    reason: FileReason = None


class PatientDocument(WireModel):
    """A document of a patient file, unmasked."""

    id_type: str = Field(description=PROTOCOL_TYPE_DESCRIPTION, examples=["99"])
    id_number: str = Field(examples=["11010519491231002X"])
    id_country: str = Field(description=COUNTRY_DESCRIPTION, examples=[""])
    verified: bool = Field(description="已核对原件；否：只是填报的，核对后用 verify_patient 核验", examples=[True])


PatientDocuments = list[PatientDocument]  # in a class with a field `list`, that name means the field


class PatientGuardian(WireModel):
    """The guardian of a child, unmasked. Doctors see no document."""

    name: str = Field(examples=["林大山"])
    id_type: str = Field(description=PROTOCOL_TYPE_DESCRIPTION, examples=["99"])
    id_number: str = Field(examples=["11010519491231002X"])
    phone: str = Field(examples=["13800000001"])
    relation: int = Field(description="监护人是儿童的：3 父母，5 其他亲属，9 其他", examples=[3])


class PatientInfo(WireModel):
    """A patient file, unmasked."""

    pati_id: IdText = Field(examples=["1"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_birthday: str = Field(examples=["1990-05-17"])
    pati_age: str = Field(examples=["36岁"])
    pati_phone: str = Field(examples=["13800000001"])
    phone_confirmed: bool = Field(
        description="手机号可证明档案归属；否：号码可能已属他人，只供联系，当面确认后用 verify_patient 登记",
        examples=[True],
    )
    pati_create_time: str = Field(examples=["2026-01-05 09:30:00"])
    pati_group_id: str = Field(examples=["1"])
    pati_group_name: str = Field(examples=["慢病"])
    list: list[Label]
    pati_id_type: str = Field(description=f"{PROTOCOL_TYPE_DESCRIPTION}；空：没有证件", examples=["99"])
    pati_id_number: str = Field(examples=["11010519491231002X"])
    pati_province: str = Field(examples=["北京市"])
    pati_city: str = Field(examples=["北京市"])
    pati_county: str = Field(examples=["朝阳区"])
    pati_address: str = Field(examples=["建国路 1 号"])
    pati_splice_address: str = Field(examples=["北京市朝阳区建国路 1 号"])
    cont_name: str = Field(examples=["王强"])
    cont_relation: int | None = Field(description=RELATION_DESCRIPTION, examples=[2])
    cont_phone: str = Field(examples=["13800000002"])
    pati_photo: str = Field(examples=[""])
    trea_id: str = Field(description="最近一次就诊", examples=[""])
    documents: PatientDocuments = Field(description="全部证件，第一个同 pati_id_number")
    status: str = Field(description=STATUS_DESCRIPTION, examples=["verified"])
    verified: bool = Field(description="是否已核验身份", examples=[True])
    card_no: str = Field(description="就诊卡号；医生看不到，未核验为空", examples=["048153726190"])
    description: str = Field(description="临时档案（无名氏）的体貌特征等；其他档案为空", examples=[""])
    merged_into: str = Field(description="已合并：现在的患者号；否则为空", examples=[""])
    guardian: PatientGuardian | None = Field(description="监护人；医生只能看到 6 岁以下儿童的")


class PatientListQuery(PageQuery):
    """Filters of the list of patients."""

    pati_name: str | None = Field(None, description="姓名的开头", max_length=64)
    pati_phone: OptionalContactPhone = ""
    pati_id_type: IdTypeText = Field("", description="证件类型；空：任何证件", examples=["", "99"])
    pati_id_number: IdNumberText = Field("", examples=["", "11010519491231002X"])
    pati_id: OptionalId = Field(None, description="患者号，即条码的内容；已合并的档案返回现在的档案")
    card_no: str = Field("", description="就诊卡号", pattern="^([0-9]{12})?$", examples=["", "048153726190"])
    label_id: OptionalId = Field(None, description="分组或标签")
    reason: OptionalReason = Field(
        None, description="医生：填写原因则查找全院患者，记入查阅记录；不填只查本人的患者", examples=["", "急诊会诊"]
    )


class ListedPatient(WireModel):
    """A patient file in a list."""

    pati_id: IdText = Field(examples=["1"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_age: str = Field(examples=["36岁"])
    pati_phone: str = Field(examples=["138****0001"])
    id_country: str = Field(description="按证件号码查找：该证件的签发国家或地区；否则为空", examples=[""])
    status: str = Field(description=STATUS_DESCRIPTION, examples=["verified"])
    verified: bool = Field(description="是否已核验身份", examples=[True])
    pati_create_time: str = Field(examples=["2026-01-05 09:30:00"])


class AccessLogQuery(PageQuery):
    """Filters of the access log."""

    pati_id: OptionalId = None
    user_id: OptionalId = Field(None, description="员工")
    break_glass: Boolean = Field(False, description="true：只看须填写原因的查阅", examples=["true"])


class Access(WireModel):
    """An entry of the access log."""

    entry_id: IdText = Field(examples=["1"])
    at: str = Field(examples=["2026-01-05 09:30:00"])
    user_id: IdText = Field(examples=["3"])
    user_name: str = Field(examples=["陈医生"])
    key_id: str = Field(description="代其操作的内部密钥；空：本人登录", examples=[""])
    pati_id: IdText = Field(description="查找没有患者编号", examples=["1"])
    pati_name: str = Field(examples=["林小雨"])
    action: str = Field(description="read 查看，filed 建档，changed 修改，searched 查找全院患者", examples=["read"])
    break_glass: bool = Field(description="须填写原因的查阅：非本人的患者，或已封存的档案", examples=[False])
    reason: str = Field(description="没有填写则为空", examples=[""])
