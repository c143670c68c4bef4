"""Endpoints about an account as a whole: consents, export, closing, its phone and its owner.

routes.py has the others.
"""

from chalicelib.accounts import closing, consents, exports, owner_confirmation, phone_changes
from chalicelib.accounts.account_models import (
    AccountReference,
    ChangeAccountPhoneRequest,
    ChangePhoneRequest,
    CloseAccountRequest,
    ConfirmIdentityRequest,
    PhoneCodeRequest,
)
from chalicelib.accounts.consent_models import (
    Consents,
    GiveConsentRequest,
    PrivacyNotice,
    PublishNoticeRequest,
    WithdrawConsentRequest,
)
from chalicelib.accounts.export_models import AccountExport, RequestedExport
from chalicelib.accounts.models import SignInResponse
from chalicelib.errors import CONFLICT, NOT_FOUND, TOO_MANY_REQUESTS
from chalicelib.http.routing import Routes
from chalicelib.identity.callers import Caller, Role

routes = Routes(__name__)
DESK_ROLES = [Role.SERVICE_STAFF, Role.ADMIN]


@routes.get("/pati_service/tenant_service/privacy_notice", callers=[Role.PUBLIC])
def privacy_notice(caller: Caller) -> PrivacyNotice:
    """隐私政策

    The current version. Where a hospital has published one, adding members, booking and starting consultations require
    consents (patient_service/consent).
    """
    return consents.get_notice(caller)


@routes.post("/pati_service/manager_service/privacy_notice", callers=[Role.ADMIN])
def publish_privacy_notice(caller: Caller, body: PublishNoticeRequest) -> PrivacyNotice:
    """发布隐私政策

    Publishes the next version. What equals the current version makes no new one.
    """
    return consents.publish_notice(caller, body)


@routes.post("/pati_service/patient_service/consent", callers=[Role.PATIENT], errors=[CONFLICT])
def give_consent(caller: Caller, body: GiveConsentRequest) -> Consents:
    """同意隐私政策

    For the purposes of which the user was asked separately. 409 if `version` is not the current one.
    """
    return consents.give(caller, body)


@routes.get("/pati_service/patient_service/consents", callers=[Role.PATIENT])
def list_consents(caller: Caller) -> Consents:
    """我的同意记录"""
    return consents.list_own(caller)


@routes.post("/pati_service/patient_service/consent/withdraw", callers=[Role.PATIENT])
def withdraw_consent(caller: Caller, body: WithdrawConsentRequest) -> Consents:
    """撤回同意

    Takes effect for what is done afterwards; bookings and consultations that exist continue.
    """
    return consents.withdraw(caller, body)


@routes.post("/pati_service/patient_service/export", callers=[Role.PATIENT])
def request_export(caller: Caller) -> RequestedExport:
    """申请导出个人数据

    At most one in 24 hours; a repeated request returns the same. A site message and event 1500 report that it is ready.
    """
    return exports.request(caller)


@routes.get("/pati_service/patient_service/export", callers=[Role.PATIENT])
def get_export(caller: Caller) -> AccountExport:
    """个人数据导出的进度和下载链接

    A JSON file: profile, members, bookings, payments, refunds, conversations with the hospital, site messages, consents
    and sessions. It is deleted after a day.
    """
    return exports.get_latest(caller)


@routes.post(
    "/pati_service/patient_service/close_account/code", callers=[Role.PATIENT], errors=[CONFLICT, TOO_MANY_REQUESTS]
)
def close_account_code(caller: Caller) -> None:
    """注销账号获取手机验证码

    For users who do not remember their password. The limits are those of all codes to the phone.
    """
    closing.request_code(caller)


@routes.post(
    "/pati_service/patient_service/close_account", callers=[Role.PATIENT], errors=[CONFLICT, TOO_MANY_REQUESTS]
)
def close_account(caller: Caller, body: CloseAccountRequest) -> None:
    """注销账号

    By password or code. 409 while there are bookings to come or refunds that have not arrived; the text lists them.
    Sign-in, phone, WeChat, sessions and members end at once. The law requires the hospital to keep medical records;
    staff can read them for a logged reason only. The phone can sign up again and gets a new account.
    """
    closing.close(caller, body)


@routes.post(
    "/pati_service/patient_service/change_phone/code", callers=[Role.PATIENT], errors=[CONFLICT, TOO_MANY_REQUESTS]
)
def change_phone_code(caller: Caller, body: PhoneCodeRequest) -> None:
    """更换手机号获取验证码

    Without `phone`, to the present phone, else to the new one. Both codes are needed.
    """
    phone_changes.request_code(caller, body)


@routes.post("/pati_service/patient_service/change_phone", callers=[Role.PATIENT], errors=[CONFLICT, TOO_MANY_REQUESTS])
def change_phone(caller: Caller, body: ChangePhoneRequest) -> None:
    """更换手机号

    Ends all other sessions of the account. 409 if the new phone has an account.
    """
    phone_changes.change(caller, body)


@routes.post("/pati_service/manager_service/change_account_phone", callers=DESK_ROLES, errors=[NOT_FOUND, CONFLICT])
def change_account_phone(caller: Caller, body: ChangeAccountPhoneRequest) -> None:
    """前台为患者更换账号手机号

    For a person who has lost the old phone and shows a document. Ends all sessions of the account, which receives a
    site message; reason and person are logged. The password is removed, which whoever has the old phone may have set:
    the person sets one by a code to the new phone. 409 if the new phone has an account.
    """
    phone_changes.change_by_staff(caller, body)


@routes.post(
    "/pati_service/patient_service/confirm_identity",
    callers=[Role.PATIENT, Role.LIMITED],
    errors=[TOO_MANY_REQUESTS],
)
def confirm_identity(caller: Caller, body: ConfirmIdentityRequest) -> None:
    """以就诊人证件号码确认账号

    For a session that is limited after a password reset of an account that was not used for 90 days (error 10104). Five
    tries for the account. The session then has its full rights; the account's others end. If an internal key has begun
    it, the password is removed, which the phone's new owner may have set.
    """
    owner_confirmation.confirm_by_document(caller, body)


@routes.post("/pati_service/manager_service/confirm_account", callers=DESK_ROLES, errors=[NOT_FOUND, CONFLICT])
def confirm_account(caller: Caller, body: AccountReference) -> None:
    """前台确认账号归属

    For a person at the front desk whose account is limited, who shows a document of one of its members and has its
    phone in hand. All sessions end and the password is removed, which a stranger may have begun and set: the person
    sets a password by a code to the phone. Whoever does not have the phone any more needs change_account_phone, and so
    does an account without phone (409).
    """
    owner_confirmation.confirm_by_staff(caller, body)


@routes.post("/pati_service/patient_service/start_over", callers=[Role.PATIENT, Role.LIMITED], errors=[NOT_FOUND])
def start_over(caller: Caller) -> SignInResponse:
    """以新账号重新开始

    For the new owner of a phone number whose former owner has an account: the phone gets a new account with the
    password that was set, and a new token replaces this session's. Only limited sessions may call it that a sign-in has
    begun.
    """
    return owner_confirmation.start_over(caller)
