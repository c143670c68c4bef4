"""A hospital's WeChat official account: its configuration, and what its pages ask (document 003)."""

from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.http.routing import OptionalTenantCaller, RawContent, RequestFile, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.wechat import account_settings, auth_files, oauth, page_signatures, service_info, template_settings
from chalicelib.wechat.models import (
    Conf,
    ConfSaved,
    FileName,
    FileNameQuery,
    Known,
    MenuUrls,
    OAuthCallbackQuery,
    OAuthUrl,
    OAuthUrlQuery,
    ServiceInfo,
    ServiceInfoSaved,
    Signature,
    SignatureAsked,
    Template,
    Templates,
    TemplateSaved,
)

routes = Routes(__name__)


@routes.get("/pati_service/wechat/conf", callers=[Role.ADMIN])
def get_conf(caller: Caller) -> Conf:
    """微信配置基本信息获取

    Of the secret only the last four characters are shown. Everything is "" where nothing was saved.
    """
    return account_settings.get(caller)


@routes.post("/pati_service/wechat/conf", callers=[Role.ADMIN], errors=[CONFLICT])
def save_conf(caller: Caller, body: ConfSaved) -> None:
    """微信配置基本信息保存

    An app_secret that comes back as it was shown (it begins with ****) stays as it is.
    """
    account_settings.save(caller, body)


@routes.get("/pati_service/wechat/menu_url", callers=[Role.ADMIN])
def menu_url(caller: Caller) -> MenuUrls:
    """微信配置菜单对应url获取"""
    return account_settings.get_menu_urls(caller)


@routes.get("/pati_service/wechat/template_id", callers=[Role.ADMIN])
def list_template_ids(caller: Caller) -> list[Template]:
    """微信配置消息模板ID获取

    The kinds of message that are sent.
    """
    return template_settings.list_all(caller)


@routes.post("/pati_service/wechat/template_id", callers=[Role.ADMIN])
def save_template_id(caller: Caller, body: TemplateSaved) -> None:
    """微信配置消息模板ID保存

    An empty wech_temp_id: this kind of message is sent no more.
    """
    template_settings.save(caller, body)


@routes.get("/pati_service/wechat/templates", callers=[Role.ADMIN], errors=[NOT_FOUND])
def list_templates(caller: Caller) -> Templates:
    """微信配置消息模板获取

    As WeChat has them at this moment.
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

    The one that was uploaded last.
    """
    return auth_files.download(caller)


@routes.post("/pati_service/wechat/auth_file/upload", callers=[Role.ADMIN])
def upload_auth_file(caller: Caller, upload: RequestFile, query: FileNameQuery) -> None:
    """微信配置网页授权文件上传

    As the one file of a multipart form, or the file itself with `file_name` in the query string. Named
    MP_verify_….txt, at most 1 KB. From then on it is served, unchanged, at /MP_verify_….txt of the hospital's domain.
    """
    auth_files.upload(caller, upload, query)


@routes.get("/{file_name}", callers=[Role.PUBLIC], errors=[NOT_FOUND], raw_content_type=auth_files.CONTENT_TYPE)
def root_file(caller: OptionalTenantCaller, file_name: FileName) -> RawContent:
    """微信域名校验文件

    MP_verify_….txt at the root of a domain, as WeChat asks for it. Anything else there is 404.
    """
    return auth_files.get_root_file(caller, file_name)


@routes.get("/pati_service/wechat/service_info", callers=[Role.PUBLIC])
def get_service_info(caller: Caller) -> ServiceInfo:
    """预约须知和客服热线"""
    return service_info.get(caller)


@routes.post("/pati_service/wechat/service_info", callers=[Role.ADMIN])
def save_service_info(caller: Caller, body: ServiceInfoSaved) -> None:
    """预约须知和客服热线保存

    Fields that are left out stay as they are.
    """
    service_info.save(caller, body)


@routes.post("/pati_service/wx/jsapi/signature", callers=[Role.PUBLIC], errors=[NOT_FOUND])
def sign_page(caller: Caller, body: SignatureAsked) -> Signature:
    """获取微信公众号jsapiSinature信息

    For an https page of the hospital's own domains: that of auth_url, and its registered hosts.
    """
    return page_signatures.sign_page(caller, body)


@routes.get("/pati_service/wechat/oauth/url", callers=[Role.PATIENT], errors=[NOT_FOUND])
def oauth_url(caller: Caller, query: OAuthUrlQuery) -> OAuthUrl:
    """微信网页授权地址

    Send the visitor there: WeChat sends them back to redirect_uri with `code` and `state`, and asks them nothing.
    """
    return oauth.create_authorize_url(caller, query)


@routes.get("/pati_service/wechat/oauth/callback", callers=[Role.PATIENT], errors=[NOT_FOUND])
def oauth_callback(caller: Caller, query: OAuthCallbackQuery) -> Known:
    """微信网页授权回调

    The page hands over `code` and `state` as WeChat gave them to it, with the token that fetched the address. From then
    on this session, and messages to its account, know the visitor's openid.
    """
    return oauth.handle_callback(caller, query)
