"""Fields of requests and responses that upload files to S3, shared by the groups."""

from typing import Annotated

from pydantic import Field

from chalicelib.http.fields import SafeInt, WireModel

FileHint = Annotated[str, Field(max_length=255)]
FORM_USAGE = (
    "用 multipart/form-data 把 fields 的每一项原样 POST 到 url，最后加上 file，S3 返回 204。"
    "只提交 OSSAccessKeyId、policy、signature、key 会被 S3 拒绝（403）"
)
FormUsage = Annotated[str, Field(description="上传方法", examples=[FORM_USAGE])]


class FileHints(WireModel):
    """What the client knows of a file that will be uploaded: extension or type may be empty, but not both."""

    file_size: Annotated[SafeInt, Field(ge=1)] | None = Field(
        None, description="字节数；给出后，上传的文件必须恰好这么大", examples=[48213]
    )
    file_extension: FileHint | None = Field(
        description="扩展名，仅供参考，以文件内容为准；不知道时可为空，但不能与 file_type 都为空", examples=["jpg"]
    )
    file_type: FileHint | None = Field(
        description="Content-Type，即浏览器的 File.type，仅供参考；不知道时可为空", examples=["image/jpeg"]
    )
