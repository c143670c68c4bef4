"""Fields of identity documents and guardians, which patients and staff enter."""

from typing import Annotated, Literal

from pydantic import Field

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.http.fields import ContactPhone, GuardianRelation, Name, WireModel
from chalicelib.people import documents, id_cards
from chalicelib.people.documents import IdType
from chalicelib.people.guardians import Guardian

ID_TYPE_DESCRIPTION = (
    "证件类型（CV02.01.101）：01 居民身份证，02 居民户口簿，03 护照，04 军官证，05 驾驶证，06 港澳居民来往内地通行证，"
    "07 台湾居民来往大陆通行证，99 其他；F1、F2 外国人永久居留身份证（旧、新），"
    "G1 港澳居民居住证，G2 台湾居民居住证，C1 出生医学证明"
)
PROTOCOL_TYPE_DESCRIPTION = ID_TYPE_DESCRIPTION.replace("99 其他", "OT 其他").replace("01 居民", "99（或 01）居民")
IdTypeText = Annotated[str, Field(max_length=2, pattern="^[0-9A-Z]*$")]
COUNTRY_DESCRIPTION = "签发国家或地区（ISO 3166-1 三位字母），只用于护照、驾驶证、其他证件；空：未知"
CountryText = Annotated[str, Field(max_length=3, pattern="^[A-Za-z<]*$")]
IdNumberText = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


class GuardianFields(WireModel):
    """The guardian of a child, who consents to the use of the child's data."""

    name: Name = Field(examples=["林大山"])
    idType: IdTypeText = Field("", description=f"{ID_TYPE_DESCRIPTION}；空：01", examples=["01"])
    IDNo: IdNumberText = Field(examples=["11010519491231002X"])
    phone: ContactPhone
    relation: GuardianRelation = Field(description="监护人是儿童的：3 父母，5 其他亲属，9 其他", examples=[3])
    consent: Literal[True] = Field(description="监护人同意处理儿童的个人信息", examples=[True])


def parse_type(value: str, field: str) -> IdType:
    """Return the document type that an `idType` names. Raises ApiError(BAD_PARAMETER) for an unknown one."""
    try:
        return documents.parse_wire_type(value)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：{error}") from None


def parse_country(id_type: IdType, value: str, field: str) -> str:
    """Return the code of the country that issued a document, "" for none. Raises ApiError(BAD_PARAMETER) if invalid."""
    try:
        return documents.normalize_country(id_type, value)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：{error}") from None


def parse_guardian(fields: GuardianFields) -> Guardian:
    """Return a guardian. Raises ApiError(BAD_PARAMETER) for an invalid document, or that of a child."""
    id_type = parse_type(fields.idType, "guardian.idType")
    _, number = parse_guardian_document(id_type, fields.IDNo, "guardian.IDNo")
    return Guardian(name=fields.name, id_type=id_type, number=number, phone=fields.phone, cont_relation=fields.relation)


def parse_guardian_document(id_type: IdType, number: str, field: str) -> tuple[IdType, str]:
    """Return type and normalized number of a guardian's document.

    Args:
        field: which the error names.

    Raises:
        ApiError: BAD_PARAMETER for an invalid number, or that of a child.
    """
    from chalicelib.people import consents  # by hardly any request of staff

    try:
        normalized = documents.normalize_number(id_type, number)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：{error}") from None
    if documents.is_citizen_number(id_type) and consents.is_minor(id_cards.parse_birthday(normalized)):
        raise ApiError(errors.BAD_PARAMETER, f"{field}：监护人须年满 {consents.MINOR_AGE} 岁")
    return id_type, normalized
