"""Upload files into a consultation: issue a form, then confirm the upload."""

from chalicelib.consult import session_cache
from chalicelib.consult.upload_models import ConfirmedFile, UploadedFile, UploadForm, UploadRequest
from chalicelib.files import confirmation, file_types, links, upload_forms
from chalicelib.files.file_types import Purpose
from chalicelib.http.file_fields import FORM_USAGE
from chalicelib.identity.callers import Caller


def create_form(caller: Caller, request: UploadRequest) -> UploadForm:
    """Return a form that uploads one file into one of the caller's sessions.

    Raises:
        ApiError: 404 if the session is not the caller's; 400 for a file type or size that is not allowed.
    """
    terms = file_types.build_upload_terms(Purpose.CHAT, request.file_extension, request.file_type, request.file_size)
    session_cache.require_access(session_cache.find_session(request.msg_session), caller)
    ticket = upload_forms.issue(caller, request.msg_session, terms)
    fields = ticket.form.fields
    return UploadForm(
        url=ticket.form.url,
        fileId=ticket.file_id,
        OSSAccessKeyId=fields["x-amz-credential"].partition("/")[0],
        policy=fields["policy"],
        signature=fields["x-amz-signature"],
        key=fields["key"],
        fields=fields,
        usage=FORM_USAGE,
    )


def confirm_upload(caller: Caller, uploaded: UploadedFile) -> ConfirmedFile:
    """Confirm an upload and return its link. Confirming again returns the same file.

    Raises:
        ApiError: 404 if the caller has no such upload; 409 if it is not there or of a kind that is not accepted.
    """
    file = confirmation.confirm_own_upload(caller.tenant_id, caller.principal, uploaded.file_id)
    kind = file_types.get_kind_of_object(file.object_key)
    return ConfirmedFile(
        file_id=str(file.file_id),
        res_url=links.sign(file.object_key),
        res_type=kind.content_types[0],
        res_displayable=kind.is_displayable,
    )
