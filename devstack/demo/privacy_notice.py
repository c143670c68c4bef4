"""The privacy notice of a demo hospital, and the consents of its patients."""

from collections.abc import Collection

from chalicelib.accounts import consents
from chalicelib.accounts.consent_models import EXAMPLE_NOTICE, GiveConsentRequest, PublishNoticeRequest
from chalicelib.identity.callers import Caller, Role


def seed(tenant_id: int, by: int, user_ids: Collection[int]) -> None:
    """Publish a notice if there is none, as the administrator `by`, and let these accounts consent to it."""
    admin = Caller(tenant_id, Role.ADMIN, f"user:{by}")
    notice = consents.get_notice(admin)
    if not notice.version:
        notice = consents.publish_notice(admin, PublishNoticeRequest(text=EXAMPLE_NOTICE, keep_consents=False))
    request = GiveConsentRequest(version=notice.version, purposes=["notice", "health_data", "minors"])
    for user_id in user_ids:
        consents.give(Caller(tenant_id, Role.PATIENT, f"user:{user_id}"), request)
