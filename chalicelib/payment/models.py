"""Requests and responses of the payment endpoints."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from chalicelib.http.fields import Id, WireModel, empty_to_none

MASK_PREFIX = "****"  # of a masked key

OptionalOpenId = Annotated[
    Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,128}$")] | None, BeforeValidator(empty_to_none)
]


# Document 003 types it as a number; a real one is a text.
AppId = Annotated[
    Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,32}$")],
    BeforeValidator(lambda value: str(value) if isinstance(value, int) and not isinstance(value, bool) else value),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": "^[0-9A-Za-z]{1,32}$"}, {"type": "integer", "minimum": 0}]}
    ),
]

# A path parameter.
TenantId = Annotated[Id, WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,14}$", "examples": ["1"]})]


class OrderRequest(WireModel):
    """The booking to pay for."""

    appo_id: Id = Field(description="预约 id（bookId）", examples=[12])
    open_id: OptionalOpenId = Field(None, description="可省略：则用本次登录由微信网页授权得到的 openid")


class OrderResponse(WireModel):
    """The order at WeChat Pay."""

    is_success: bool = Field(description="请求已得到处理；业务是否成功看 error_code", examples=[True])
    payment_required: bool = Field(default=True, description="false：挂号费为 0，无需支付，不必调起支付")
    trade_type: Literal["JSAPI"] = "JSAPI"
    prepay_id: str = Field(
        default="",
        description="2 小时内有效；免费的预约为空，见 payment_required",
        examples=["wx261153585405162d4d02642eabe7000000"],
    )
    trade_no: str = Field(default="", description="微信的交易号：支付之后才有")
    out_trade_no: str = Field(default="", examples=["20360107a3f1c09be24d7780"])
    url: str = ""
    error_code: Literal["SUCCESS", "FAIL"] = "SUCCESS"
    error_msg: str = ""
    nonce_str: str = Field(default="", examples=["5K8264ILTKCH16CQ2502SI8ZNMTM67VS"])
    sign_type: str = Field(default="", examples=["RSA"])
    agency_id: str = Field(default="", examples=["1"])
    timestamp: str = Field(default="", examples=["1414587457"])
    app_id: str = Field(default="", description="paysign 要的 appId", examples=["wxd930ea5d5a258f4f"])


class PaySignRequest(WireModel):
    """The parameters that a page signs before it starts the payment."""

    agencyId: Id = Field(examples=[1])
    tenantId: Id = Field(examples=[1])
    appId: AppId = Field(description="appo_order 返回的 app_id", examples=["wxd930ea5d5a258f4f"])
    timeStamp: str = Field(pattern=r"^[0-9]{10}$", examples=["1414587457"])
    nonceStr: str = Field(pattern=r"^[0-9A-Za-z]{1,32}$", examples=["5K8264ILTKCH16CQ2502SI8ZNMTM67VS"])
    prepayId: str = Field(pattern=r"^[0-9A-Za-z_-]{1,64}$", examples=["wx261153585405162d4d02642eabe7000000"])
    signType: Literal["RSA", "MD5", "HMAC-SHA256"] = Field(examples=["RSA"])

    @model_validator(mode="before")
    @classmethod
    def _reject_free_booking(cls, fields: Any) -> Any:
        """Say what an empty prepayId means: appo_order returns it, like other fields, for a free booking."""
        if isinstance(fields, dict) and fields.get("prepayId") == "":
            raise ValueError("prepayId 为空：该预约无需支付，不必调起支付")
        return fields


class PaySign(WireModel):
    """The signature with which a page starts the payment."""

    paySign: str = Field(examples=["oR9d8PuhnIc+YZ8cBHFCwfgpaK9gd7vaRvkYD7rthRAZ"])


Pem = Annotated[str, Field(max_length=8000, pattern=r"^[\n\r -~]*$")]
CertificateSerial = Annotated[
    str, Field(pattern=r"^[0-9A-Za-z_]{0,64}$", examples=["5157F09EFDC096DE15EBE81A47057A7200000000"])
]


PublicKeyPem = Annotated[
    str, Field(max_length=3000, pattern=r"^[\n\r -~]*$")
]  # ten of them fit into the column public_keys


class PublicKey(WireModel):
    """A public key or platform certificate of WeChat Pay."""

    serial: str = Field(
        pattern=r"^[0-9A-Za-z_]{1,64}$",
        description="PUB_KEY_ID_…，或平台证书序列号",
        examples=["PUB_KEY_ID_0114232134912410000000000000"],
    )
    pem: PublicKeyPem = Field(examples=["-----BEGIN PUBLIC KEY-----\nMIIB...\n-----END PUBLIC KEY-----"])


class PayConf(WireModel):
    """All fields are empty if nothing has been saved."""

    mch_id: str = Field(default="", examples=["1900006891"])
    version: str = Field(default="", examples=["v3"])
    sign_type: str = Field(default="", examples=["RSA"])
    key: str = Field(default="", description="只显示末 4 位", examples=["********9f2c"])
    serial: str = ""
    private_key: str = Field(default="", description="已保存则为 ********")
    certificate: str = ""
    public_keys: list[PublicKey] = Field(default=[])
    notify_url: str = Field(
        default="",
        description="微信通知到的地址",
        examples=["https://api.example.com/pati_service/wechat/pay/notify/1"],
    )


class SavePayConfRequest(WireModel):
    """A key that begins with ****, as PayConf shows it, leaves the stored one unchanged."""

    mch_id: str = Field(pattern=r"^[1-9][0-9]{7,9}$", description="商户号", examples=["1900006891"])
    version: Literal["v3", "v2"] = Field(examples=["v3"])
    sign_type: Literal["RSA", "MD5", "HMAC-SHA256"] = Field(examples=["RSA"])
    key: str = Field(
        pattern=r"^(?:\*{4,}[0-9A-Za-z]{0,4}|[0-9A-Za-z]{32})$",
        description="APIv3 密钥；v2：API 密钥。32 位字母数字",
        examples=["0123456789abcdef0123456789abcdef"],
    )
    serial: CertificateSerial = Field(default="", description="商户证书序列号；v3 必填")
    private_key: Pem = Field(default="", description="商户私钥（PEM）；必填")
    certificate: Pem = Field(default="", description="商户证书（PEM）；v2 必填：退款要用")
    public_keys: list[PublicKey] = Field([], max_length=10, description="微信支付公钥或平台证书；v3 必填")
