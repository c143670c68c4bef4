"""Messages to a patient's WeChat by a template of the hospital's. Only jobs of the outbox's outside lane send any."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from chalicelib.adapters import cache, mysql, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.people import tenants
from chalicelib.wechat_account import account, credentials, openids, template_fields, templates
from chalicelib.wechat_account.account import OfficialAccount

logger = logging.getLogger(__name__)

# Trying again would not help: no such openid or template, who does not follow the account or wants none, bad fields.
INVALID_FIELD_ERRCODE = 47003
PERMANENT_ERRCODES = frozenset({40003, 40037, 43004, 43101, INVALID_FIELD_ERRCODE})
CONTENT_TTL_SECONDS = 600  # seconds that what a template says is kept


def send(tenant_id: int, user_id: int, kind: int, values: Mapping[str, str], page: str, dedup_key: str) -> None:
    """Send a message of a kind to an account's holder; `values` as fields.py has them, `page` below auth_url.

    Nothing is sent where the hospital has no account or no template for this kind, or does not know the holder's
    openid; nor, within ten minutes, a second time under the same `dedup_key`. What trying again would not mend is
    logged.     Raises Refusal and ApiError: then again.
    """
    ours = account.find(tenant_id)
    if ours is None:
        return
    template_id = templates.find_id(mysql.autocommit, tenant_id, kind)
    openid = openids.find_for_account(mysql.autocommit, tenant_id, user_id, ours.app_id)
    if not (template_id and openid):
        return
    try:
        content = _get_content(ours, template_id)
        named = {"hospital": tenants.get_name(mysql.autocommit, tenant_id), **values}
        message = {
            "touser": openid,
            "template_id": template_id,
            "url": ours.base_url + page,
            "client_msg_id": hashlib.sha256(f"{tenant_id}:{dedup_key}".encode()).hexdigest()[:32],
            "data": template_fields.build_data(content, named),
        }
        _send_with_fallback(ours, message)
    except WechatApiError as refusal:
        if refusal.errcode not in PERMANENT_ERRCODES:
            raise
        logger.warning("wechat message refused", extra={"ids": {"kind": kind, "number": refusal.errcode}})


def _send_with_fallback(ours: OfficialAccount, message: Mapping[str, Any]) -> None:
    """Once more without what WeChat may not have approved: what a hospital's template takes there, nobody can ask."""
    plain = template_fields.clear_constants(message["data"])
    try:
        credentials.call_with_token(ours, lambda token: wechat_api.send_template(token, dict(message)))
    except WechatApiError as refusal:
        if refusal.errcode != INVALID_FIELD_ERRCODE or plain == message["data"]:
            raise
        credentials.call_with_token(ours, lambda token: wechat_api.send_template(token, {**message, "data": plain}))


def _get_content(ours: OfficialAccount, template_id: str) -> str:
    """Return what a template says. Raises Refusal(40037) where the account does not have it."""
    key = f"wechat:2:{{{ours.tenant_id}:{ours.app_id}}}:content:{template_id}"
    content = cache.read(key)
    if content is None:
        found = credentials.call_with_token(ours, wechat_api.fetch_private_templates)
        content = next((template.content for template in found if template.template_id == template_id), None)
        if content is None:
            raise WechatApiError(40037)
        cache.write(key, content, CONTENT_TTL_SECONDS)
    return content
