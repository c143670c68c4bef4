"""Document 004: the IM gateway."""

from chalicelib.errors import NOT_FOUND
from chalicelib.gateway import inner
from chalicelib.gateway.models import TokenRequest
from chalicelib.identity.callers import SERVICE, Caller
from chalicelib.web import Routes

routes = Routes(__name__)


@routes.post("/inner/get_token", callers=[SERVICE], refusals=[NOT_FOUND])
def get_token(caller: Caller, body: TokenRequest) -> str:
    """获取Token

    Signs somebody in on behalf of the hospital's own system. `12` or `user:12` is the account or member of staff
    of that id, with that person's own rights; any other string is a user of that system, known here by it alone.
    """
    return inner.get_token(caller, body)
