"""Requests and responses of groups and labels."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.http.fields import (
    Id,
    IdText,
    Name,
    OptionalId,
    PageNum,
    PageSize,
    WireModel,
    build_enum_schema,
    parse_choice,
)

LabelType = Annotated[Literal[1, 2], BeforeValidator(parse_choice), build_enum_schema(1, 2)]


class LabelQuery(WireModel):
    """Groups or labels."""

    label_type: LabelType = Field(description="1 分组，2 标签", examples=[1])


class LabelCountQuery(LabelQuery):
    """A page of groups or labels."""

    order_type: LabelType = Field(description="1 按序号升序，2 降序", examples=[1])
    page_size: PageSize | None = Field(None, description="与 page_num 都为空：全部", examples=[10])
    page_num: PageNum | None = Field(None, examples=[1])


class Label(WireModel):
    """A group or label."""

    label_name: str = Field(examples=["高血压"])
    label_id: IdText = Field(examples=["1"])


class Labels(WireModel):
    """All groups or all labels."""

    list: list[Label]


class CountedLabel(Label):
    """A group or label with the number of its patients."""

    user_name: str = Field(description="录入人", examples=["客服小李"])
    person_number: int = Field(description="人数", examples=[12])
    create_time: int = Field(description="毫秒", examples=[1767576600000])


class CountedLabels(WireModel):
    """A page of groups or labels."""

    page_num: int = Field(examples=[1])
    page_size: int = Field(examples=[10])
    total: int = Field(examples=[1])
    pages: int = Field(examples=[1])
    person_numbers: int = Field(description="本院患者总数", examples=[128])
    list: list[CountedLabel]


class SaveLabelRequest(LabelQuery):
    """The form of a group or label."""

    label_name: Name = Field(examples=["高血压"])
    label_id: OptionalId = Field(None, description="空：新增", examples=[""])


class DeleteLabelRequest(LabelQuery):
    """The group or label to delete."""

    label_id: Id = Field(examples=["1"])
