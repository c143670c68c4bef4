"""Configuration, read once from environment variables. No other module of the bundle uses os.environ."""

import os
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SmsSettings:
    """Settings of adapters/sms.py."""

    provider: str  # aliyun, tencent, or file for development; "" if no codes can be sent
    file_path: str  # the provider `file` appends a line for each code; "-": standard error
    key_id: str
    key_secret: str = field(repr=False)
    app_id: str  # Tencent's SmsSdkAppId
    sign_name: str  # signature and template that the provider has approved
    template_id: str
    notice_template_id: str  # of notices to the owner of a patient file; "" if none are sent
    endpoint_url: str  # "" for the provider's own


@dataclass(frozen=True)
class CaptchaSettings:
    """Settings of adapters/tencent_captcha.py."""

    app_id: str  # Tencent's CaptchaAppId, a number; "" if no captchas are required
    app_secret: str = field(repr=False)  # AppSecretKey
    key_id: str
    key_secret: str = field(repr=False)
    daily_free_codes: int  # SMS codes of a network in a day without a captcha
    endpoint_url: str  # "" for Tencent's own


@dataclass(frozen=True)
class NotificationSettings:
    """Messages in a day, apart for those that must arrive and for the others."""

    wechat_of_person: int
    wechat_of_hospital: int
    sms_of_person: int
    sms_of_hospital: int


@dataclass(frozen=True)
class UploadSettings:
    """Quotas of one patient; those of staff are ten times as large."""

    forms_per_day: int
    bytes_per_day: int


@dataclass(frozen=True)
class Settings:
    """All settings of the bundle. Endpoint URLs are set for tests and development only, unless stated otherwise."""

    stage: str  # "local" on a developer's machine, else the deployed stage
    endpoint_group: str  # the group that this Lambda function serves; "" for all
    in_lambda: bool
    log_level: str
    # mysql://user:password@host:port/name, with ?tls=1 except on a developer's machine
    database_url: str = field(repr=False)
    database_pool_size: int  # maximum number of connections of a process
    database_wait_seconds: float  # for which a request waits for a free connection
    database_timeout_seconds: float  # of a statement
    slow_statement_ms: float  # a statement that takes so long is logged, without its values
    tls_ca_file: str  # root certificates for the connections to MySQL and Redis
    redis_url: str = field(repr=False)  # redis://host:port/0, rediss:// with TLS
    redis_cluster: bool  # use a cluster client, for several shards
    redis_timeout_seconds: float
    s3_endpoint_url: str  # "" for AWS
    s3_bucket: str
    s3_timeout_seconds: float  # for connecting, and for each read
    region: str
    access_key: str  # this and the next two are the credentials of the function's role, set by Lambda
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)  # "" for keys that do not expire
    data_keys: str = field(repr=False)  # id:key pairs, each key encrypted by KMS; see crypto/field_encryption.py
    data_keys_file: str  # for development: a file with such pairs, keys not encrypted
    kms_endpoint_url: str  # "" for AWS
    outbox_function: str  # function that runs outbox jobs; "": a thread of this process, in Lambda the schedule
    external_outbox_function: str  # the same for jobs of the external queue
    lambda_endpoint_url: str  # "" for AWS
    lambda_runtime_api: str  # host and port of the runtime and extensions APIs; "" outside Lambda
    long_poll_seconds: float  # after which a long poll without events is answered
    ws_endpoint_url: str  # API Gateway's endpoint to push to open WebSockets; "" if there are none
    ws_timeout_seconds: float  # for connecting, and for each read
    token_days: int  # lifetime of a token
    staff_idle_minutes: int  # after which a session of staff that is not used ends; 0: never
    staff_second_factor: bool  # whether staff must set up a second factor before they can work
    sms: SmsSettings
    captcha: CaptchaSettings
    wechat_api_url: str  # official accounts
    wechat_open_url: str  # OAuth pages, which identify visitors
    wechat_pay_url: str
    public_url: str  # public base URL of this API, for WeChat Pay's payment notifications; "" for none
    # Limits of SMS codes. A hospital's whole Wi-Fi may share one address.
    hourly_codes_per_address: int
    hourly_codes_per_hospital: int
    daily_codes_per_phone: int  # for all hospitals
    uploads: UploadSettings
    notifications: NotificationSettings
    rate_limits: str  # those that differ from the defaults of identity/rate_limits.py
    trusted_proxies: int  # number of proxies between the clients and API Gateway: 1 behind CloudFront
    max_body_bytes: int


def _load(env: "os._Environ[str]") -> Settings:
    return Settings(
        stage=env.get("ZHENXUN_STAGE", "local"),
        endpoint_group=env.get("GROUP", ""),
        in_lambda="AWS_LAMBDA_FUNCTION_NAME" in env,
        log_level=env.get("LOG_LEVEL", "INFO"),
        **_read_database_settings(env),
        tls_ca_file=env.get("TLS_CA", "/etc/pki/tls/certs/ca-bundle.crt"),
        redis_url=env.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
        redis_cluster=env.get("REDIS_CLUSTER", "") == "1",
        redis_timeout_seconds=float(env.get("REDIS_TIMEOUT", "0.3")),
        s3_endpoint_url=env.get("S3_ENDPOINT_URL", ""),
        s3_bucket=env.get("S3_BUCKET", "zhenxun"),
        s3_timeout_seconds=float(env.get("S3_TIMEOUT", "5")),
        region=env.get("AWS_REGION", "cn-northwest-1"),
        access_key=env.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=env.get("AWS_SECRET_ACCESS_KEY", ""),
        session_token=env.get("AWS_SESSION_TOKEN", ""),
        data_keys=env.get("DATA_KEYS", ""),
        data_keys_file=env.get("DATA_KEYS_FILE", ""),
        kms_endpoint_url=env.get("KMS_ENDPOINT_URL", ""),
        outbox_function=env.get("OUTBOX_FUNCTION", ""),
        external_outbox_function=env.get("EXTERNAL_OUTBOX_FUNCTION", ""),
        lambda_endpoint_url=env.get("LAMBDA_ENDPOINT_URL", "").rstrip("/"),
        lambda_runtime_api=env.get("AWS_LAMBDA_RUNTIME_API", ""),
        long_poll_seconds=float(env.get("POLL_SECONDS", "20")),
        ws_endpoint_url=env.get("WS_ENDPOINT_URL", "").rstrip("/"),
        ws_timeout_seconds=float(env.get("WS_TIMEOUT", "3")),
        **_read_session_settings(env),
        sms=_read_sms_settings(env),
        captcha=_read_captcha_settings(env),
        **_read_urls(env),
        **_read_code_limits(env),
        uploads=_read_upload_settings(env),
        notifications=_read_notification_settings(env),
        rate_limits=env.get("RATE_LIMITS", ""),
        trusted_proxies=_read_int(env, "TRUSTED_PROXIES", "0", least=0),
        max_body_bytes=_read_int(env, "BODY_LIMIT", str(1024 * 1024)),
    )


def _read_int(env: "os._Environ[str]", name: str, default: str, *, least: int = 1) -> int:
    """Return an integer. Raises ValueError at the start of the process, not in the request that needs it first."""
    text = env.get(name, default)
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ValueError(f"{name}={text}: must be an integer, at least {least}")
    return int(text)


def _read_code_limits(env: "os._Environ[str]") -> dict[str, Any]:
    return {
        "hourly_codes_per_address": _read_int(env, "CODES_OF_ADDRESS", "100"),
        "hourly_codes_per_hospital": _read_int(env, "CODES_OF_HOSPITAL", "1000"),
        "daily_codes_per_phone": _read_int(env, "CODES_OF_PHONE", "30"),
    }


def _read_upload_settings(env: "os._Environ[str]") -> UploadSettings:
    return UploadSettings(
        forms_per_day=_read_int(env, "UPLOAD_FORMS_PER_DAY", "500"),
        bytes_per_day=_read_int(env, "UPLOAD_BYTES_PER_DAY", str(2 * 1024**3)),
    )


def _read_notification_settings(env: "os._Environ[str]") -> NotificationSettings:
    return NotificationSettings(
        wechat_of_person=int(env.get("WECHAT_OF_PERSON", "50")),
        wechat_of_hospital=int(env.get("WECHAT_OF_HOSPITAL", "50000")),
        sms_of_person=int(env.get("SMS_OF_PERSON", "10")),
        sms_of_hospital=int(env.get("SMS_OF_HOSPITAL", "5000")),
    )


def _read_session_settings(env: "os._Environ[str]") -> dict[str, Any]:
    return {
        "token_days": _read_int(env, "TOKEN_DAYS", "30"),
        "staff_idle_minutes": _read_int(env, "STAFF_IDLE_MINUTES", "30", least=0),
        "staff_second_factor": env.get("STAFF_SECOND_FACTOR", "") == "1",
    }


def _read_urls(env: "os._Environ[str]") -> dict[str, Any]:
    return {
        "wechat_api_url": env.get("WECHAT_API_URL", "https://api.weixin.qq.com").rstrip("/"),
        "wechat_open_url": env.get("WECHAT_OPEN_URL", "https://open.weixin.qq.com").rstrip("/"),
        "wechat_pay_url": env.get("WECHAT_PAY_URL", "https://api.mch.weixin.qq.com").rstrip("/"),
        "public_url": env.get("PUBLIC_URL", "").rstrip("/"),
    }


def _read_database_settings(env: "os._Environ[str]") -> dict[str, Any]:
    return {
        "database_url": env.get("DATABASE_URL", "mysql://root@127.0.0.1:3306/zhenxun"),
        "database_pool_size": _read_int(env, "DATABASE_POOL", "16" if "AWS_LAMBDA_FUNCTION_NAME" not in env else "1"),
        "database_wait_seconds": float(env.get("DATABASE_WAIT", "5")),
        "database_timeout_seconds": float(env.get("DATABASE_TIMEOUT", "5")),
        "slow_statement_ms": float(env.get("SLOW_STATEMENT_MS", "500")),
    }


def _read_sms_settings(env: "os._Environ[str]") -> SmsSettings:
    return SmsSettings(
        provider=env.get("SMS_PROVIDER", ""),
        file_path=env.get("SMS_FILE", os.devnull),
        key_id=env.get("SMS_KEY_ID", ""),
        key_secret=env.get("SMS_KEY_SECRET", ""),
        app_id=env.get("SMS_APP_ID", ""),
        sign_name=env.get("SMS_SIGN", ""),
        template_id=env.get("SMS_TEMPLATE", ""),
        notice_template_id=env.get("SMS_NOTICE_TEMPLATE", ""),
        endpoint_url=env.get("SMS_ENDPOINT_URL", "").rstrip("/"),
    )


def _read_captcha_settings(env: "os._Environ[str]") -> CaptchaSettings:
    captcha = CaptchaSettings(
        app_id=env.get("CAPTCHA_APP_ID", ""),
        app_secret=env.get("CAPTCHA_APP_SECRET", ""),
        key_id=env.get("CAPTCHA_KEY_ID", ""),
        key_secret=env.get("CAPTCHA_KEY_SECRET", ""),
        daily_free_codes=_read_int(env, "CAPTCHA_FREE_CODES", "5"),
        endpoint_url=env.get("CAPTCHA_ENDPOINT_URL", "").rstrip("/"),
    )
    if captcha.app_id:
        _read_int(env, "CAPTCHA_APP_ID", "")
        if not (captcha.app_secret and captcha.key_id and captcha.key_secret):
            raise ValueError("CAPTCHA_APP_ID needs CAPTCHA_APP_SECRET, CAPTCHA_KEY_ID and CAPTCHA_KEY_SECRET")
    return captcha


settings = _load(os.environ)
