"""Endpoints of document 003 for patients: accounts and members (patient_service).

account_routes.py has those about an account as a whole.
"""

from chalicelib.accounts import members, profile, sign_in
from chalicelib.accounts.account_routes import routes
from chalicelib.accounts.models import (
    AddMemberRequest,
    AddMemberResponse,
    ChangePasswordRequest,
    CodeQuery,
    Member,
    MyInfo,
    PictureForm,
    PictureFormRequest,
    RemoveMemberRequest,
    ResetPasswordRequest,
    SaveMyInfoRequest,
    SignInRequest,
    SignInResponse,
    SignUpRequest,
    VerifyCodeRequest,
)
from chalicelib.accounts.verification_models import (
    FileBinding,
    RemoveBindingRequest,
    VerifiedMember,
    VerifyMemberRequest,
    VerifyMemberResponse,
)
from chalicelib.errors import (
    BAD_CREDENTIALS,
    CAPTCHA_REQUIRED,
    CONFLICT,
    CONSENT_REQUIRED,
    NOT_ALLOWED,
    NOT_FOUND,
    RATE_LIMITED,
    TOO_MANY_REQUESTS,
)
from chalicelib.http import session_fields
from chalicelib.http.session_fields import EndSessionRequest, ListedSession
from chalicelib.identity import sessions, sms_codes
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.code_store import CodePurpose


@routes.get(
    "/pati_service/patient_service/register/phone_identifying_code",
    callers=[Role.PUBLIC],
    errors=[CAPTCHA_REQUIRED, TOO_MANY_REQUESTS],
)
def register_code(caller: Caller, query: CodeQuery) -> None:
    """患者注册获取手机验证码

    Sends an SMS with six digits, valid for 5 minutes, 5 tries from the requesting address and 5 from all others. Limits
    for a phone and an address: one a minute, 5 an hour, 10 a day; for a phone and all addresses at which its owner is
    not known: 20 a day. Error 10108 asks for a captcha, whose ticket the repeated request has.
    """
    _request_code(caller, query, CodePurpose.SIGN_UP)


@routes.post("/pati_service/patient_service/register", callers=[Role.PUBLIC], errors=[CONFLICT, TOO_MANY_REQUESTS])
def register(caller: Caller, body: SignUpRequest) -> SignInResponse:
    """患者注册"""
    return sign_in.sign_up(caller, body)


@routes.get(
    "/pati_service/patient_service/reset_password/phone_identifying_code",
    callers=[Role.PUBLIC],
    errors=[CAPTCHA_REQUIRED, TOO_MANY_REQUESTS],
)
def reset_code(caller: Caller, query: CodeQuery) -> None:
    """患者忘记密码，获取手机验证码

    The response does not reveal whether the phone has an account; an SMS is sent only if it has one.
    """
    _request_code(caller, query, CodePurpose.RESET_PASSWORD)


def _request_code(caller: Caller, query: CodeQuery, purpose: CodePurpose) -> None:
    sms_codes.request_code(caller.tenant_id, query.phone, purpose, caller.address, captcha=query.get_captcha())


@routes.post(
    "/pati_service/patient_service/reset_password/phone_identifying_code_validate",
    callers=[Role.PUBLIC],
    errors=[TOO_MANY_REQUESTS],
)
def validate_reset_code(caller: Caller, body: VerifyCodeRequest) -> None:
    """患者忘记密码，手机验证码验证

    A correct code stays valid: send it again with the new password.
    """
    sign_in.check_code(caller, body)


@routes.post("/pati_service/patient_service/reset_password", callers=[Role.PUBLIC], errors=[TOO_MANY_REQUESTS])
def reset_password(caller: Caller, body: ResetPasswordRequest) -> None:
    """患者重置密码，通过手机验证码重置密码

    Ends all sessions of the account.
    """
    sign_in.reset_password(caller, body)


@routes.post("/pati_service/patient_service/login", callers=[Role.PUBLIC], errors=[BAD_CREDENTIALS, TOO_MANY_REQUESTS])
def login(caller: Caller, body: SignInRequest) -> SignInResponse:
    """患者登录

    Five failures for one phone from one address lock it for 15 minutes; where its owner has signed in before, more.
    """
    return sign_in.authenticate(caller, body)


@routes.post(
    "/pati_service/patient_service/change_password", callers=[Role.PATIENT], errors=[CONFLICT, TOO_MANY_REQUESTS]
)
def change_password(caller: Caller, body: ChangePasswordRequest) -> None:
    """患者修改密码，通过老密码修改密码

    Ends all other sessions of the account.
    """
    sign_in.change_password(caller, body)


@routes.post("/pati_service/patient_service/logout", callers=[Role.PATIENT, Role.LIMITED])
def logout(caller: Caller) -> None:
    """患者退出登录"""
    sessions.end_current(caller)


@routes.get("/pati_service/patient_service/sessions", callers=[Role.PATIENT])
def list_sessions(caller: Caller) -> list[ListedSession]:
    """我的登录会话

    Where the account is signed in, the last used first; at most 100.
    """
    return session_fields.build_list(sessions.list_own(caller))


@routes.post("/pati_service/patient_service/sessions/end", callers=[Role.PATIENT], errors=[NOT_FOUND])
def end_session(caller: Caller, body: EndSessionRequest) -> None:
    """结束我的登录会话

    Signs out one device, or all others. Ending a session that has ended changes nothing.
    """
    sessions.end_own(caller, body.session_id)


@routes.post("/pati_service/patient_service/member", callers=[Role.PATIENT], errors=[CONFLICT, CONSENT_REQUIRED])
def add_member(caller: Caller, body: AddMemberRequest) -> AddMemberResponse:
    """添加就诊人

    At most ten members, and twenty in a year; the first one is the default. Adding the same person again returns the
    same member. The member has a patient file of its own until it is verified. Children below 14 need a guardian, but
    no document of their own.
    """
    return members.add(caller, body)


@routes.post("/pati_service/patient_service/member/remove", callers=[Role.PATIENT], errors=[CONFLICT, NOT_FOUND])
def remove_member(caller: Caller, body: RemoveMemberRequest) -> None:
    """删除就诊人

    Rejected while the member has a booking to come. If it was the default one, the next member becomes that.
    Consultations of the member end. Repeating the request has no effect.
    """
    members.remove(caller, body.memberId)


@routes.post(
    "/pati_service/patient_service/member/verification_code",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, TOO_MANY_REQUESTS],
)
def member_verification_code(caller: Caller, body: VerifiedMember) -> None:
    """就诊人核验验证码

    If the hospital has a verified file with the member's name and document, a code is sent to the phone of that file.
    The response does not say whether there is one.
    """
    from chalicelib.accounts import verification  # with which other requests need not wait at a cold start

    verification.request_code(caller, body)


@routes.post(
    "/pati_service/patient_service/member/verify", callers=[Role.PATIENT], errors=[NOT_FOUND, TOO_MANY_REQUESTS]
)
def verify_member(caller: Caller, body: VerifyMemberRequest) -> VerifyMemberResponse:
    """核验就诊人

    By the code that was sent, or by the number of the visit card. The member then has the verified file, with its
    bookings. 400 with the same text for whatever does not match; five failures lock it for 15 minutes.
    """
    from chalicelib.accounts import verification

    return verification.verify(caller, body)


@routes.get("/pati_service/patient_service/member/bindings", callers=[Role.PATIENT], errors=[NOT_ALLOWED, NOT_FOUND])
def member_bindings(caller: Caller, query: VerifiedMember) -> list[FileBinding]:
    """关联该就诊人档案的其他账号

    For the owner of a verified file: the account whose phone is the file's phone.
    """
    from chalicelib.accounts import bindings

    return bindings.list_all(caller, query)


@routes.post(
    "/pati_service/patient_service/member/bindings/remove",
    callers=[Role.PATIENT],
    errors=[CONFLICT, NOT_ALLOWED, NOT_FOUND],
)
def remove_member_binding(caller: Caller, body: RemoveBindingRequest) -> None:
    """解除其他账号的关联

    For the owner of a verified file. The other account no longer has the member; its bookings to come move to this
    account, and it is notified. Repeating the request has no effect.
    """
    from chalicelib.accounts import bindings

    bindings.remove(caller, body)


@routes.get("/pati_service/patient_service/members", callers=[Role.PATIENT])
def list_members(caller: Caller) -> list[Member]:
    """就诊人列表"""
    return members.list_all(caller)


@routes.get("/pati_service/patient_service/myinfo", callers=[Role.PATIENT, Role.LIMITED])
def my_info(caller: Caller) -> MyInfo:
    """获取我的个人信息

    A limited session (error 10104) gets the phone only.
    """
    return profile.get_own(caller)


@routes.post("/pati_service/patient_service/myinfo", callers=[Role.PATIENT])
def save_my_info(caller: Caller, body: SaveMyInfoRequest) -> None:
    """更新我的个人信息"""
    profile.save(caller, body)


@routes.post("/pati_service/patient_service/myinfo/upload_picture", callers=[Role.PATIENT], errors=[RATE_LIMITED])
def upload_picture(caller: Caller, body: PictureFormRequest) -> PictureForm:
    """用户个人图像上传

    The picture, at most 5 MB, becomes the avatar once it is uploaded. A file that is not accepted changes nothing:
    upload_access with its file_id says why.
    """
    return profile.create_picture_form(caller, body)
