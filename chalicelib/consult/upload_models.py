"""Requests and responses of file uploads into a consultation."""

from pydantic import AliasChoices, Field

from chalicelib.consult.models import SESSION_NO_EXAMPLE, ResDisplayable, ResType
from chalicelib.http.fields import Id, IdText, PublicId, WireModel
from chalicelib.http.file_fields import FileHints, FormUsage

SESSION_ALIASES = AliasChoices("msg_session", "session_no", "session_id")
FILE_ID_ALIASES = AliasChoices("file_id", "fileId")
KEY_EXAMPLE = "uploads/1/pY0ZQ3bqj1cXw7uT2mLkVn9d.jpg"
POLICY_EXAMPLE = "eyJleHBpcmF0aW9uIjogIjIwMjYtMDEtMDVUMDE6NDU6MDBaIn0="
SIGNATURE_EXAMPLE = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
ACCESS_KEY_EXAMPLE = "AKIAIOSFODNN7EXAMPLE"
FORM_FIELDS_EXAMPLE = {
    "key": KEY_EXAMPLE,
    "Content-Type": "image/jpeg",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": f"{ACCESS_KEY_EXAMPLE}/20260105/cn-northwest-1/s3/aws4_request",
    "x-amz-date": "20260105T013000Z",
    "policy": POLICY_EXAMPLE,
    "x-amz-signature": SIGNATURE_EXAMPLE,
}


class UploadRequest(FileHints):
    """A file to be uploaded into a session."""

    msg_session: PublicId = Field(validation_alias=SESSION_ALIASES, examples=[SESSION_NO_EXAMPLE])


class UploadForm(WireModel):
    """An S3 form that uploads one file."""

    url: str = Field(examples=["https://zhenxun-files.s3.cn-northwest-1.amazonaws.com.cn/"])
    fileId: int = Field(examples=[17])
    OSSAccessKeyId: str = Field(examples=[ACCESS_KEY_EXAMPLE])
    policy: str = Field(examples=[POLICY_EXAMPLE])
    signature: str = Field(examples=[SIGNATURE_EXAMPLE])
    key: str = Field(examples=[KEY_EXAMPLE])
    fields: dict[str, str] = Field(
        description="完整的表单：原样提交所有字段，最后加上 file；15 分钟内有效", examples=[FORM_FIELDS_EXAMPLE]
    )
    usage: FormUsage


class UploadedFile(WireModel):
    """A file whose upload is finished."""

    file_id: Id = Field(validation_alias=FILE_ID_ALIASES, examples=["17"])


class ConfirmedFile(WireModel):
    """A file that can be sent, with its link."""

    file_id: IdText = Field(examples=["17"])
    res_url: str = Field(
        description="30 分钟内有效",
        examples=["https://zhenxun-files.s3.cn-northwest-1.amazonaws.com.cn/1/files/a.jpg?X-Amz-Signature=…"],
    )
    res_type: ResType
    res_displayable: ResDisplayable
