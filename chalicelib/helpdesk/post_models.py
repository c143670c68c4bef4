"""Requests and responses of the post endpoints, an extension of document 002."""

from typing import Annotated

from pydantic import Field

from chalicelib.helpdesk.models import PersonCard, ShortText
from chalicelib.http.fields import Boolean, Id, IdText, Name, OptionalId, SafeInt, WireModel


class SavePostRequest(WireModel):
    """Body of savePost."""

    positionId: OptionalId = Field(None, description="为空则新建", examples=[""])
    userId: OptionalId = Field(None, description="新建时必填；岗位不能换人", examples=["5"])
    title: Name = Field(examples=["导诊"])
    deptId: OptionalId = Field(None, examples=[""])
    skill: ShortText = Field("", description="患者可以指定的服务，空为不限", examples=["检查预约"])
    cap: Annotated[SafeInt, Field(ge=0, le=200)] = Field(5, description="同时接待的人数上限", examples=[5])


class SavedPost(WireModel):
    """The id of a post that was saved."""

    positionId: IdText = Field(examples=["1"])


class SetDutyRequest(WireModel):
    """Body of setDuty."""

    positionId: Id = Field(examples=["1"])
    onDuty: Boolean = Field(examples=[True])


class Post(PersonCard):
    """A post as its administrators see it."""

    deptId: Annotated[str, Field(description="没有则为空", examples=[""])]
    skill: Annotated[str, Field(examples=["检查预约"])]
    cap: Annotated[int, Field(examples=[5])]
    open: Annotated[int, Field(description="正在接待的人数", examples=[2])]
