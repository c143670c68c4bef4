"""Send template messages to users' WeChat. Only jobs of the external queue send them."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.adapters import cache, mysql, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.people import tenants
from chalicelib.wechat_account import account, credentials, openids, subscriptions, template_fields, templates
from chalicelib.wechat_account.account import OfficialAccount
from chalicelib.wechat_account.templates import TemplateKind, TemplateTable

logger = logging.getLogger(__name__)

UNKNOWN_TEMPLATE_ERRCODE = 40037
INVALID_FIELD_ERRCODE = 47003
# Retrying does not help: unknown openid or template, a user who does not follow the account or has turned messages off,
# fields that WeChat does not accept.
PERMANENT_ERRCODES = frozenset({40003, UNKNOWN_TEMPLATE_ERRCODE, 43004, 43101, 43107, INVALID_FIELD_ERRCODE})
CONTENT_TTL_SECONDS = 600  # of a template's content in the cache


def send(
    tenant_id: int, user_id: int, kind: TemplateKind, values: Mapping[str, str], page: str, dedup_key: str
) -> int | None:
    """Send a message to a user; do nothing if the hospital has no account or template for it, or no openid is bound.

    Errors that a retry would not fix are logged.

    Returns:
        The number that WeChat gave the message, 0 if none; None if it was not sent, and if it is not known whether
        WeChat has accepted it: such a message is not repeated.

    Args:
        values: see template_fields.build_data; "hospital" is added.
        page: the path below auth_url that the message opens.
        dedup_key: WeChat delivers one message for each key within ten minutes.

    Raises:
        WechatApiError, ApiError: if the call is to be retried.
    """
    official_account = account.find(tenant_id)
    if official_account is None or subscriptions.was_used(mysql.autocommit, tenant_id, dedup_key):
        return None
    openid = openids.find_for_account(mysql.autocommit, tenant_id, user_id, official_account.app_id)
    all_values = {"hospital": tenants.get_name(mysql.autocommit, tenant_id), **values}
    if openid:
        msg_id = _try_subscription(official_account, openid, kind, all_values, page, dedup_key)
        if msg_id is not None:
            return msg_id
    template_id = templates.find_id(mysql.autocommit, TemplateTable.MESSAGES, tenant_id, kind)
    if not (template_id and openid) or openids.has_unfollowed(mysql.autocommit, tenant_id, openid):
        return None
    try:
        content = _get_content(official_account, template_id, _fetch_contents)
        message = {
            "touser": openid,
            "template_id": template_id,
            "url": official_account.base_url + page,
            "client_msg_id": hashlib.sha256(f"{tenant_id}:{dedup_key}".encode()).hexdigest()[:32],
            "data": template_fields.build_data(content, all_values),
        }
        return _send_with_fallback(official_account, message)
    except WechatApiError as error:
        if error.errcode not in PERMANENT_ERRCODES:
            raise
        logger.warning("wechat message rejected", extra={"ids": {"kind": kind, "errcode": error.errcode}})
        return None


def _try_subscription(
    official_account: OfficialAccount,
    openid: str,
    kind: TemplateKind,
    values: Mapping[str, str],
    page: str,
    dedup_key: str,
) -> int | None:
    """Send a subscription message if the user has consented to one; return its number, None if it was not sent.

    The credit is used before. If it is not known whether WeChat has accepted the message, a retry sends none.

    Raises:
        WechatApiError, ApiError: if the call is to be retried.
    """
    tenant_id = official_account.tenant_id
    template_id = templates.find_id(mysql.autocommit, TemplateTable.SUBSCRIPTIONS, tenant_id, kind)
    credit = (tenant_id, openid, template_id)
    if not template_id or not subscriptions.has_credit(mysql.autocommit, *credit):
        return None
    try:
        content = _get_content(official_account, template_id, wechat_api.fetch_subscription_templates)
        message = {
            "touser": openid,
            "template_id": template_id,
            "page": official_account.base_url + page,
            "data": template_fields.build_data(content, values),
        }
        return _send_with_credit(official_account, message, credit, dedup_key)
    except WechatApiError as error:
        if error.errcode not in PERMANENT_ERRCODES:
            raise
        subscriptions.clear_credits(mysql.autocommit, *credit)
        logger.warning("wechat message rejected", extra={"ids": {"kind": kind, "errcode": error.errcode}})
        return None


def _send_with_credit(
    official_account: OfficialAccount, message: dict[str, Any], credit: tuple[int, str, str], dedup_key: str
) -> int | None:
    """Send a subscription message for a credit, which the user gets back if WeChat rejects the message."""
    if not mysql.run_transaction(lambda tx: subscriptions.use_credit(tx, *credit, dedup_key)):
        return None
    try:
        return credentials.call_with_token(official_account, lambda token: wechat_api.send_subscription(token, message))
    except WechatApiError:
        mysql.run_transaction(lambda tx: subscriptions.return_credit(tx, *credit, dedup_key))
        raise


def _send_with_fallback(official_account: OfficialAccount, message: Mapping[str, Any]) -> int:
    """Send a message; if WeChat rejects its fields, send it with empty `const` fields.

    Which texts WeChat has approved for a template's `const` fields cannot be queried.
    """
    reduced_data = template_fields.clear_constants(message["data"])
    try:
        return credentials.call_with_token(
            official_account, lambda token: wechat_api.send_template(token, dict(message))
        )
    except WechatApiError as error:
        if error.errcode != INVALID_FIELD_ERRCODE or reduced_data == message["data"]:
            raise
        reduced = {**message, "data": reduced_data}
        return credentials.call_with_token(official_account, lambda token: wechat_api.send_template(token, reduced))


def _get_content(
    official_account: OfficialAccount, template_id: str, fetch_contents: Callable[[str], Mapping[str, str]]
) -> str:
    """Return the content of a template.

    Args:
        fetch_contents: returns the contents of the account's templates of this sort by their ids.

    Raises:
        WechatApiError: 40037 if the account does not have the template.
    """
    key = f"wechat:3:{{{official_account.tenant_id}:{official_account.app_id}}}:content:{template_id}"
    content = cache.read(key)
    if content is None:
        content = credentials.call_with_token(official_account, fetch_contents).get(template_id)
        if content is None:
            raise WechatApiError(UNKNOWN_TEMPLATE_ERRCODE)
        cache.write(key, content, CONTENT_TTL_SECONDS)
    return content


def _fetch_contents(token: str) -> dict[str, str]:
    return {template.template_id: template.content for template in wechat_api.fetch_private_templates(token)}
