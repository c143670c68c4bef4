"""The staff's side of document 003 (manager_service)."""

from chalicelib.clinic import sign_in
from chalicelib.clinic.models import SignedInStaff, StaffSignIn
from chalicelib.errors import BAD_CREDENTIALS, TOO_MANY_REQUESTS
from chalicelib.identity.callers import PUBLIC, Caller
from chalicelib.web import Routes

routes = Routes(__name__)


@routes.post("/pati_service/manager_service/login", callers=[PUBLIC], refusals=[BAD_CREDENTIALS, TOO_MANY_REQUESTS])
def login(caller: Caller, body: StaffSignIn) -> SignedInStaff:
    """员工登录

    Staff sign in with phone and password (an endpoint of ours: the documents leave it to a system we do not have).
    Five failures of one phone from one address lock it for 15 minutes.
    """
    return sign_in.with_password(caller, body)
