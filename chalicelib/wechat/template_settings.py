"""The message templates that a hospital's admin chooses for its kinds of messages."""

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_api
from chalicelib.identity.callers import Caller
from chalicelib.wechat.models import AccountTemplate, SaveTemplateRequest, Template, Templates
from chalicelib.wechat_account import account, credentials, templates
from chalicelib.wechat_account.templates import TemplateKind, TemplateTable


def list_chosen(caller: Caller, table: TemplateTable) -> list[Template]:
    """Return the templates that are chosen, by the kind of message."""
    return [
        Template(wech_temp_type=choice.kind, wech_temp_id=choice.template_id)
        for choice in templates.list_all(mysql.autocommit, table, caller.tenant_id)
    ]


def list_at_wechat(caller: Caller) -> Templates:
    """Return the templates that the account has at WeChat.

    Raises:
        ApiError: 404 without an account, 409 if it is misconfigured, 503 if WeChat does
            not respond.
    """
    official_account = account.require(caller.tenant_id)
    with credentials.translate_errors():
        available = credentials.call_with_token(official_account, wechat_api.fetch_private_templates)
    return Templates(
        templateList=[
            AccountTemplate(
                templateId=template.template_id,
                title=template.title,
                primaryIndustry=template.primary_industry,
                deputyIndustry=template.deputy_industry,
                content=template.content,
                example=template.example,
            )
            for template in available
        ]
    )


def save(caller: Caller, table: TemplateTable, choice: SaveTemplateRequest) -> None:
    """Choose the template for a kind of message, or none."""
    kind = TemplateKind(choice.wech_temp_type)
    templates.save(mysql.autocommit, table, caller.tenant_id, kind, choice.wech_temp_id, caller.user_id, clock.now())
