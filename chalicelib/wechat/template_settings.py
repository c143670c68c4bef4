"""By what templates a hospital's messages are sent, as its admin chooses them."""

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_api
from chalicelib.identity.callers import Caller
from chalicelib.wechat.models import Template, Templates, TemplateSaved, TemplateShown
from chalicelib.wechat_account import account, credentials, templates


def list_all(caller: Caller) -> list[Template]:
    return [Template(**row) for row in templates.list_all(mysql.autocommit, caller.tenant_id)]


def list_at_wechat(caller: Caller) -> Templates:
    """Return the templates that the account has at WeChat. ApiError 404 without an account."""
    ours = account.require(caller.tenant_id)
    with credentials.translate_errors():
        found = credentials.call_with_token(ours, wechat_api.fetch_private_templates)
    shown = [
        TemplateShown(
            templateId=one.template_id,
            title=one.title,
            primaryIndustry=one.primary_industry,
            deputyIndustry=one.deputy_industry,
            content=one.content,
            example=one.example,
        )
        for one in found
    ]
    return Templates(templateList=shown)


def save(caller: Caller, saved: TemplateSaved) -> None:
    chosen = (caller.tenant_id, saved.wech_temp_type, saved.wech_temp_id)
    mysql.run_autocommit(lambda tx: templates.save(tx, *chosen, caller.user_id, clock.now()))
