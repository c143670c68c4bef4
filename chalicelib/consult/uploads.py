"""Files of a consultation: leave to upload one, and the word that it is there."""

from chalicelib.consult import session_cache
from chalicelib.consult.upload_models import ReadyFile, UploadedFile, UploadForm, UploadWanted
from chalicelib.files import confirmation, file_types, links, upload_forms
from chalicelib.identity.callers import Caller


def create_form(caller: Caller, wanted: UploadWanted) -> UploadForm:
    """Return a form for one file into a session of the caller's. ApiError 404 for another's session."""
    kind = file_types.require_kind(
        file_types.CHAT_EXTENSIONS, wanted.file_extension, wanted.file_type, wanted.file_size
    )
    session_cache.require_access(session_cache.find_session(wanted.msg_session), caller)
    ticket = upload_forms.issue(
        *(caller.tenant_id, caller.principal, wanted.msg_session),
        *(kind, wanted.file_type, wanted.file_size),
    )
    fields = ticket.form.fields
    return UploadForm(
        url=ticket.form.url,
        fileId=ticket.file_id,
        OSSAccessKeyId=fields["x-amz-credential"].partition("/")[0],
        policy=fields["policy"],
        signature=fields["x-amz-signature"],
        key=fields["key"],
        fields=fields,
    )


def confirm_upload(caller: Caller, uploaded: UploadedFile) -> ReadyFile:
    """Confirm an upload and return its link. Asking again gives the same file."""
    file = confirmation.confirm_own_upload(caller.tenant_id, caller.principal, uploaded.file_id)
    return ReadyFile(file_id=str(file.file_id), res_url=links.sign(file.object_key))
