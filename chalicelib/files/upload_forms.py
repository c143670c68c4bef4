"""Issue upload forms: a row to be confirmed, and a form that S3 accepts for one object.

S3 accepts a form again until it expires: conditional writes (If-None-Match) exist for PutObject, not for forms. So an
upload counts with the largest size that its form accepts, and with the size of the file once it is confirmed.
"""

import secrets
from datetime import timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.errors import ApiError
from chalicelib.files import store
from chalicelib.files.file_types import UploadTerms
from chalicelib.files.models import UploadQuota, UploadTicket
from chalicelib.identity.callers import Caller, Role
from chalicelib.settings import settings

TICKET_LIFETIME_SECONDS = 15 * 60
STAFF_ROLES = (Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN)
STAFF_UPLOAD_FACTOR = 10  # members of staff may upload so many times as much as patients
GB = 1024**3


def issue(caller: Caller, place: str, terms: UploadTerms) -> UploadTicket:
    """Insert an upload of the caller and return its form. Sends no request to S3.

    Args:
        place: what the file is for, such as a conversation; the file can be used there only.

    Raises:
        ApiError: 429 if the caller's quota of the day does not have room for it.
    """
    upload_key = f"uploads/{caller.tenant_id}/{secrets.token_urlsafe(18)}.{terms.extension}"
    factor = STAFF_UPLOAD_FACTOR if caller.role in STAFF_ROLES else 1
    quota = UploadQuota(
        clock.to_instant(clock.today()),
        factor * settings.uploads.forms_per_day,
        factor * settings.uploads.bytes_per_day,
    )
    uploader = (caller.tenant_id, caller.principal)
    file_id = store.insert(mysql.autocommit, *uploader, place, terms, upload_key, clock.now(), quota)
    if file_id is None:
        raise _build_quota_error(quota)
    form = s3.build_upload_form(upload_key, terms.content_type, terms.min_size, terms.max_size, TICKET_LIFETIME_SECONDS)
    return UploadTicket(file_id, form)


def _build_quota_error(quota: UploadQuota) -> ApiError:
    midnight = clock.to_instant(clock.today(), timedelta(days=1))
    text = f"今天上传的文件已达上限（{quota.max_forms} 个或共 {quota.max_bytes / GB:g} GB），请明天再上传"
    return ApiError(errors.RATE_LIMITED, text, retry_after=(midnight - clock.now()) // clock.SECOND + 1)
