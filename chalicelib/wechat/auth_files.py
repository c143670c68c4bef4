"""The files by which WeChat verifies that a domain belongs to the hospital (网页授权文件)."""

import re

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.http.bodies import RawContent, RequestFile
from chalicelib.identity.callers import Caller
from chalicelib.wechat import store
from chalicelib.wechat.models import FileNameQuery

# Source: https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html
FILE_NAME_PATTERN = re.compile(r"MP_verify_[0-9A-Za-z]{16}\.txt", re.ASCII)
MAX_BYTES = 1024
CONTENT_TYPE = "text/plain; charset=utf-8"


def upload(caller: Caller, file: RequestFile, query: FileNameQuery) -> None:
    """Store a file unchanged, replacing one of the same name.

    Raises:
        ApiError: 400 for any other name or an empty file, 413 above MAX_BYTES.
    """
    name, content = file.name or query.file_name, file.content
    if not FILE_NAME_PATTERN.fullmatch(name):
        raise ApiError(
            errors.BAD_PARAMETER, "file_name：必须是微信给出的 MP_verify_….txt" if name else "file_name：必填"
        )
    if not content:
        raise ApiError(errors.BAD_PARAMETER, "file：不能为空")
    if len(content) > MAX_BYTES:
        raise ApiError(errors.TOO_LARGE, f"file：不能超过 {MAX_BYTES} 字节")
    store.save_file(mysql.autocommit, caller.tenant_id, name, content, caller.user_id, clock.now())


def download(caller: Caller) -> RawContent:
    """Return the file that was uploaded last.

    Raises:
        ApiError: 404 if there is none.
    """
    file = store.find_newest_file(mysql.autocommit, caller.tenant_id)
    if file is None:
        raise ApiError(errors.NOT_FOUND, "尚未上传网页授权文件")
    return RawContent(CONTENT_TYPE, file.content, file.file_name)


def get_root_file(caller: Caller, name: str) -> RawContent:
    """Return a file of the hospital to whose domain the request was sent.

    Raises:
        ApiError: 404 for any other path at the root of a domain.
    """
    content = FILE_NAME_PATTERN.fullmatch(name) and store.find_file(mysql.autocommit, caller.tenant_id, name)
    if not content:
        raise ApiError(errors.NOT_FOUND)
    return RawContent(CONTENT_TYPE, content)
