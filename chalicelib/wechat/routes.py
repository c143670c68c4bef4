"""Endpoints of a hospital's WeChat official account: its configuration and what its pages need (document 003)."""

from chalicelib.errors import CONFLICT, INVALID_SIGNATURE, NOT_FOUND, VERIFICATION_REQUIRED
from chalicelib.http.routing import OptionalTenantCaller, RateLimit, RawContent, RawRequest, RequestFile, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.wechat import (
    account_settings,
    auth_files,
    callback_admin,
    callbacks,
    oauth,
    page_signatures,
    service_info,
    template_settings,
)
from chalicelib.wechat.models import (
    CallbackConf,
    CallbackQuery,
    Conf,
    FileName,
    FileNameQuery,
    MenuUrls,
    OAuthCallbackQuery,
    OAuthResult,
    OAuthUrl,
    OAuthUrlQuery,
    SaveCallbackConfRequest,
    SaveConfRequest,
    SaveServiceInfoRequest,
    SaveTemplateRequest,
    ServiceInfo,
    Signature,
    SignatureRequest,
    Template,
    Templates,
    TenantId,
)
from chalicelib.wechat_account.templates import TemplateTable

routes = Routes(__name__)
CALLBACK_CONTENT_TYPE = "text/plain; charset=utf-8"


@routes.get("/pati_service/wechat/conf", callers=[Role.ADMIN])
def get_conf(caller: Caller) -> Conf:
    """微信配置基本信息获取

    Of the secret only the last four characters are shown. All fields are "" if nothing has been saved.
    """
    return account_settings.get(caller)


@routes.post("/pati_service/wechat/conf", callers=[Role.ADMIN], errors=[CONFLICT])
def save_conf(caller: Caller, body: SaveConfRequest) -> None:
    """微信配置基本信息保存

    An app_secret that begins with ****, as the configuration shows it, leaves the stored secret unchanged.
    """
    account_settings.save(caller, body)


@routes.get("/pati_service/wechat/menu_url", callers=[Role.ADMIN])
def menu_url(caller: Caller) -> MenuUrls:
    """微信配置菜单对应url获取"""
    return account_settings.get_menu_urls(caller)


@routes.get("/pati_service/wechat/template_id", callers=[Role.ADMIN])
def list_template_ids(caller: Caller) -> list[Template]:
    """微信配置消息模板ID获取

    Lists the kinds of messages that are sent.
    """
    return template_settings.list_chosen(caller, TemplateTable.MESSAGES)


@routes.post("/pati_service/wechat/template_id", callers=[Role.ADMIN])
def save_template_id(caller: Caller, body: SaveTemplateRequest) -> None:
    """微信配置消息模板ID保存

    With an empty wech_temp_id this kind of message is not sent any more.
    """
    template_settings.save(caller, TemplateTable.MESSAGES, body)


@routes.get("/pati_service/wechat/templates", callers=[Role.ADMIN], errors=[NOT_FOUND, CONFLICT])
def list_templates(caller: Caller) -> Templates:
    """微信配置消息模板获取

    Fetched from WeChat with each request.
    """
    return template_settings.list_at_wechat(caller)


@routes.get(
    "/pati_service/wechat/auth_file/download",
    callers=[Role.ADMIN],
    errors=[NOT_FOUND],
    raw_content_type=auth_files.CONTENT_TYPE,
)
def download_auth_file(caller: Caller) -> RawContent:
    """微信配置网页授权文件下载

    Returns the file that was uploaded last.
    """
    return auth_files.download(caller)


@routes.post("/pati_service/wechat/auth_file/upload", callers=[Role.ADMIN])
def upload_auth_file(caller: Caller, upload: RequestFile, query: FileNameQuery) -> None:
    """微信配置网页授权文件上传

    Upload it as the only file of a multipart form, or as the body. A body has the name that it contains, as WeChat's
    files do, or `file_name` of the query string. The name is MP_verify_….txt, the size at most 1 KB. The file is then
    served unchanged at /MP_verify_….txt of the hospital's domain.
    """
    auth_files.upload(caller, upload, query)


@routes.get("/{file_name}", callers=[Role.PUBLIC], errors=[NOT_FOUND], raw_content_type=auth_files.CONTENT_TYPE)
def root_file(caller: OptionalTenantCaller, file_name: FileName) -> RawContent:
    """微信域名校验文件

    Serves MP_verify_….txt at the root of a domain, where WeChat requests it. Any other path there is 404.
    """
    return auth_files.get_root_file(caller, file_name)


@routes.get("/pati_service/wechat/service_info", callers=[Role.PUBLIC])
def get_service_info(caller: Caller) -> ServiceInfo:
    """预约须知和客服热线"""
    return service_info.get(caller)


@routes.post("/pati_service/wechat/service_info", callers=[Role.ADMIN])
def save_service_info(caller: Caller, body: SaveServiceInfoRequest) -> None:
    """预约须知和客服热线保存

    Omitted fields keep their values.
    """
    service_info.save(caller, body)


@routes.post("/pati_service/wx/jsapi/signature", callers=[Role.PUBLIC], errors=[NOT_FOUND, CONFLICT])
def sign_page(caller: Caller, body: SignatureRequest) -> Signature:
    """获取微信公众号jsapiSinature信息

    For https pages of the hospital's domains: that of auth_url, and its registered hosts.
    """
    return page_signatures.sign_page(caller, body)


@routes.get(
    "/pati_service/wechat/oauth/url",
    callers=[Role.PATIENT, Role.LIMITED],
    errors=[NOT_FOUND],
    limit=RateLimit.OAUTH_STATES,
)
def oauth_url(caller: Caller, query: OAuthUrlQuery) -> OAuthUrl:
    """微信网页授权地址

    Open it in the browser: WeChat redirects to redirect_uri with `code` and `state`, without asking for consent.
    """
    return oauth.create_authorize_url(caller, query)


@routes.get(
    "/pati_service/wechat/oauth/callback",
    callers=[Role.PATIENT, Role.LIMITED],
    errors=[NOT_FOUND, CONFLICT, VERIFICATION_REQUIRED],
)
def oauth_callback(caller: Caller, query: OAuthCallbackQuery) -> OAuthResult:
    """微信网页授权回调

    The page submits `code` and `state` as it received them from WeChat, with the token that fetched the address. The
    visitor's openid is then bound to this session and receives the user's messages. A limited session is confirmed by
    the openid that the account had before, and rejects any other.
    """
    return oauth.handle_callback(caller, query)


@routes.get("/pati_service/wechat/subscription_templates", callers=[Role.PATIENT, Role.ADMIN])
def list_subscription_templates(caller: Caller) -> list[Template]:
    """订阅通知模板

    For `wx-open-subscribe` on the pages: each consent permits one message of this kind.
    """
    return template_settings.list_chosen(caller, TemplateTable.SUBSCRIPTIONS)


@routes.post("/pati_service/wechat/subscription_template", callers=[Role.ADMIN])
def save_subscription_template(caller: Caller, body: SaveTemplateRequest) -> None:
    """订阅通知模板保存

    Needs the callback URL: WeChat reports there what users consent to. With an empty wech_temp_id there is none.
    """
    template_settings.save(caller, TemplateTable.SUBSCRIPTIONS, body)


@routes.get("/pati_service/wechat/callback_conf", callers=[Role.ADMIN])
def get_callback_conf(caller: Caller) -> CallbackConf:
    """微信消息推送（服务器配置）获取

    Of token and key only the last four characters are shown.
    """
    return callback_admin.get(caller)


@routes.post("/pati_service/wechat/callback_conf", callers=[Role.ADMIN])
def save_callback_conf(caller: Caller, body: SaveCallbackConfRequest) -> None:
    """微信消息推送（服务器配置）保存

    Save here first, then enter url, token and key at WeChat, which calls the url at once. Until it has, messages count
    as delivered when WeChat accepts them. A value that begins with ****, as it is shown, leaves the stored one
    unchanged.
    """
    callback_admin.save(caller, body)


@routes.get(
    "/pati_service/wechat/callback/{tenantId}",
    callers=[Role.PUBLIC],
    errors=[NOT_FOUND, INVALID_SIGNATURE],
    raw_content_type=CALLBACK_CONTENT_TYPE,
)
def confirm_callback(caller: OptionalTenantCaller, tenantId: TenantId, query: CallbackQuery) -> RawContent:  # noqa: ARG001  # authenticated by the signature
    """微信消息推送地址验证

    Only for WeChat, which expects echostr back.
    """
    return RawContent(CALLBACK_CONTENT_TYPE, callbacks.confirm_address(tenantId, query))


@routes.post(
    "/pati_service/wechat/callback/{tenantId}",
    callers=[Role.PUBLIC],
    errors=[NOT_FOUND, INVALID_SIGNATURE],
    raw_content_type=CALLBACK_CONTENT_TYPE,
)
def receive_callback(
    caller: OptionalTenantCaller,  # noqa: ARG001  # as above
    tenantId: TenantId,
    query: CallbackQuery,
    raw_request: RawRequest,
) -> RawContent:
    """微信消息推送

    Only for WeChat: whether messages arrived, and what users subscribed to. A repeated call has no further effect.
    """
    return RawContent(CALLBACK_CONTENT_TYPE, callbacks.handle(tenantId, query, raw_request.body))
