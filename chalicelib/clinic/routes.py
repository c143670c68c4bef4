"""The staff's side of document 003 (manager_service)."""

from chalicelib.clinic import cards, sign_in
from chalicelib.clinic.models import MemberAsked, SignedInStaff, StaffSignIn
from chalicelib.errors import BAD_CREDENTIALS, NOT_FOUND, TOO_MANY_REQUESTS
from chalicelib.identity.callers import ADMIN, PATIENT, PUBLIC, SERVICE_STAFF, Caller
from chalicelib.web import Raw, Routes

routes = Routes(__name__)


@routes.post("/pati_service/manager_service/login", callers=[PUBLIC], refusals=[BAD_CREDENTIALS, TOO_MANY_REQUESTS])
def login(caller: Caller, body: StaffSignIn) -> SignedInStaff:
    """员工登录

    Staff sign in with phone and password (an endpoint of ours: the documents leave it to a system we do not have).
    Five failures of one phone from one address lock it for 15 minutes.
    """
    return sign_in.with_password(caller, body)


@routes.get(
    "/pati_service/wechat/query_bar_code",
    callers=[PATIENT, SERVICE_STAFF, ADMIN],
    refusals=[NOT_FOUND],
    raw="image/png",
)
def query_bar_code(caller: Caller, query: MemberAsked) -> Raw:
    """微信用户信息条形码查询

    The number of a member's patient file as a Code 128 bar code. Patients see their own members', staff everybody's.
    """
    return cards.bar_code_of(caller, query.member_id)
