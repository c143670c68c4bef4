"""Requests and responses of the official account's endpoints."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from chalicelib.http.fields import Id, WireModel, build_enum_schema, parse_choice

TEMPLATE_TYPE_DESCRIPTION = (
    "0 取镜通知，1 预约挂号成功，2 预约挂号取消，3 挂号成功，4 复诊提醒，5 医生回复提醒，6 加工订单进度提醒"
)
MASK_PREFIX = "****"  # of a masked secret
DOMAIN_LABEL_PATTERN = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
AES_KEY_PATTERN = r"(?:\*{4,}[^*\s]{0,4}|[0-9A-Za-z]{43})?"
AUTH_URL_PATTERN = rf"^(?:https://)?{DOMAIN_LABEL_PATTERN}(?:\.{DOMAIN_LABEL_PATTERN})+(?:/[0-9A-Za-z._~%-]*)*$"

AppId = Annotated[str, Field(pattern=r"^wx[0-9A-Za-z]{4,30}$", examples=["wxd930ea5d5a258f4f"])]
AppSecret = Annotated[
    str, Field(max_length=128, pattern=r"^(?:\*{4,}[^*\s]{0,4}|[!-)+-~]+)$", examples=["0123456789abcdef"])
]
AuthUrl = Annotated[str, Field(max_length=255, pattern=AUTH_URL_PATTERN, examples=["https://h5.example.com"])]
TemplateType = Annotated[Literal[0, 1, 2, 3, 4, 5, 6], BeforeValidator(parse_choice), build_enum_schema(*range(7))]
PageUrl = Annotated[str, Field(min_length=1, max_length=2048, examples=["https://h5.example.com/book?dept=1"])]
TemplateId = Annotated[
    str, Field(pattern=r"^[0-9A-Za-z_-]{0,64}$", examples=["ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"])
]


class Conf(WireModel):
    """The settings of the official account."""

    app_id: str = Field(examples=["wxd930ea5d5a258f4f"])
    app_secret: str = Field(description="只显示末 4 位", examples=["********cdef"])
    auth_url: str = Field(examples=["https://h5.example.com"])


class SaveConfRequest(WireModel):
    """New settings of the official account."""

    app_id: AppId
    app_secret: AppSecret = Field(description="原样送回所显示的（以 **** 开头）：不变")
    auth_url: AuthUrl = Field(description="网页授权域名，https")


class MenuUrls(WireModel):
    """The pages of the menu of the official account."""

    book_url: str = Field(examples=["https://h5.example.com/book"])
    personal_center_url: str = Field(examples=["https://h5.example.com/personal"])
    chat_url: str = Field(examples=["https://h5.example.com/chat"])


class Template(WireModel):
    """The template for one kind of message."""

    wech_temp_type: int = Field(description=TEMPLATE_TYPE_DESCRIPTION, examples=[1])
    wech_temp_id: str = Field(examples=["ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"])


class SaveTemplateRequest(WireModel):
    """A new template for one kind of message."""

    wech_temp_type: TemplateType = Field(description=TEMPLATE_TYPE_DESCRIPTION, examples=[1])
    wech_temp_id: TemplateId = Field(description="空：不再发送这一类消息")


def _reject_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("含有不允许的字符")
    return text


BookingInstructions = Annotated[
    str,
    Field(max_length=2000),
    AfterValidator(_reject_nul),
    WithJsonSchema({"type": "string", "maxLength": 2000, "pattern": r"^[^\x00]*$"}),
]
Hotline = Annotated[str, Field(pattern=r"^[0-9+() -]{0,32}$", examples=["010-12345678"])]


class ServiceInfo(WireModel):
    """The booking instructions and the hotline."""

    appo_notice: str = Field(examples=["请于就诊前 15 分钟到分诊台报到。"])
    phone: str = Field(examples=["010-12345678"])


class SaveServiceInfoRequest(WireModel):
    """Omitted fields keep their values."""

    appo_notice: BookingInstructions | None = Field(
        None, description="预约须知", examples=["请于就诊前 15 分钟到分诊台报到。"]
    )
    phone: Hotline | None = Field(None, description="客服热线", examples=["010-12345678"])


FileName = Annotated[str, Field(examples=["MP_verify_0a1B2c3D4e5F6g7H.txt"])]


class FileNameQuery(WireModel):
    """The name of a file that is sent as the body."""

    file_name: str = Field(
        "", description="请求体就是文件时：文件名；不填则由文件内容得出", examples=["MP_verify_0a1B2c3D4e5F6g7H.txt"]
    )


class AccountTemplate(WireModel):
    """A template of the official account."""

    templateId: str = Field(examples=["ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"])
    title: str = Field(examples=["预约挂号成功通知"])
    primaryIndustry: str = Field(examples=["医疗护理"])
    deputyIndustry: str = Field(examples=["保健与卫生"])
    content: str = Field(examples=["就诊人：{{thing1.DATA}}\n就诊时间：{{time2.DATA}}"])
    example: str = Field(examples=["就诊人：张三\n就诊时间：2026-01-05 09:30"])


class Templates(WireModel):
    """All templates of the official account."""

    templateList: list[AccountTemplate]


class SignatureRequest(WireModel):
    """The page that uses the JS-SDK."""

    url: PageUrl = Field(description="当前页面的地址；# 及其后的部分不参与签名")


class Signature(WireModel):
    """The signature with which a page uses the JS-SDK."""

    appId: str = Field(examples=["wxd930ea5d5a258f4f"])
    nonceStr: str = Field(examples=["5e2f9c0b7a1d4836"])
    timestamp: str = Field(description="秒", examples=["1767576600"])
    url: str = Field(description="参与签名的地址", examples=["https://h5.example.com/book?dept=1"])
    signature: str = Field(examples=["0f9de62fce790f9a083d5c99e95740ceb90c27ed"])


class OAuthUrlQuery(WireModel):
    """The page to which WeChat redirects."""

    redirect_uri: PageUrl | None = Field(None, description="授权后回到的页面，本院域名下；空：auth_url")


class OAuthUrl(WireModel):
    """The address that starts the authorization."""

    url: str = Field(description="让微信打开它；10 分钟内有效，只能用一次", examples=[""])


class OAuthCallbackQuery(WireModel):
    """The query string with which WeChat redirects to the page."""

    code: str = Field(pattern=r"^[0-9A-Za-z_-]{1,512}$", examples=["041aBcDe2fGhIj3kLmNo4pQrSt0aBcDf"])
    state: str = Field(pattern=r"^[0-9A-Za-z]{1,128}$", examples=["5e2f9c0b7a1d48365e2f9c0b7a1d4836"])


class OAuthResult(WireModel):
    """The openid of the caller."""

    open_id: str = Field(examples=["oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"])


class CallbackQuery(WireModel):
    """What WeChat signs, and its signatures. A wrong one is rejected, whatever it looks like."""

    signature: str = Field("", max_length=128, examples=["c1f6d2b0a6e9c3f4d7b8a9e0f1c2d3b4a5968778"])
    timestamp: str = Field("", max_length=32, description="秒", examples=["1767576600"])
    nonce: str = Field("", max_length=128, examples=["486452656"])
    echostr: str = Field("", max_length=1024, description="仅验证地址时", examples=["4375120948345356249"])
    encrypt_type: str = Field("", max_length=32, description="加密时为 aes", examples=["aes"])
    msg_signature: str = Field(
        "", max_length=128, description="加密时的签名", examples=["477715d11cdb4164915debcba66cb864d751f3e6"]
    )


CallbackToken = Annotated[str, Field(pattern=r"^(?:\*{4,}[^*\s]{0,4}|[0-9A-Za-z]{3,32})?$", examples=["Renhe2026"])]


def _require_aes_key(key: str) -> str:
    if not re.fullmatch(AES_KEY_PATTERN, key):
        raise ValueError("应为 43 位字母或数字")
    return key


EncodingAesKey = Annotated[
    str,
    AfterValidator(_require_aes_key),
    Field(examples=[""], json_schema_extra={"pattern": f"^{AES_KEY_PATTERN}$"}),
]


class CallbackConf(WireModel):
    """How WeChat calls us about the official account."""

    url: str = Field(
        description="在公众平台“服务器配置”中填写的 URL",
        examples=["https://api.example.com/pati_service/wechat/callback/1"],
    )
    callback_token: str = Field(description="只显示末 4 位", examples=["********"])
    encoding_aes_key: str = Field(description="只显示末 4 位；空：明文模式", examples=["********4xLm"])
    verified: bool = Field(description="微信已用这些值调用过本系统", examples=[True])


class SaveCallbackConfRequest(WireModel):
    """New callback settings."""

    callback_token: CallbackToken = Field(
        description="3-32 位字母或数字，与公众平台所填一致；原样送回所显示的：不变；空：停用"
    )
    encoding_aes_key: EncodingAesKey = Field("", description="43 位，安全模式；空：明文模式；原样送回所显示的：不变")


TenantId = Annotated[Id, WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,14}$", "examples": ["1"]})]
