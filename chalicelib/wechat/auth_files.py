"""The files by which WeChat sees that a domain is the hospital's (网页授权文件)."""

import re

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.http.bodies import RawContent, RequestFile
from chalicelib.identity.callers import Caller
from chalicelib.wechat import store
from chalicelib.wechat.models import FileNameQuery

# https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html
FILE_NAME_PATTERN = re.compile(r"MP_verify_[0-9A-Za-z]{16}\.txt", re.ASCII)
MAX_BYTES = 1024  # bytes
CONTENT_TYPE = "text/plain; charset=utf-8"


def upload(caller: Caller, uploaded: RequestFile, named: FileNameQuery) -> None:
    """Keep a file, its bytes unchanged; one of the same name goes. ApiError 400 for another name, 413 above 1 KB."""
    name, content = uploaded.name or named.file_name, uploaded.content
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
    """Return what was uploaded last. ApiError 404 where nothing was."""
    found = store.find_newest_file(mysql.autocommit, caller.tenant_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "尚未上传网页授权文件")
    return RawContent(CONTENT_TYPE, found["content"], found["file_name"])


def get_root_file(caller: Caller, name: str) -> RawContent:
    """Return a file of the hospital whose domain was asked. ApiError 404 for whatever else is asked for there."""
    content = FILE_NAME_PATTERN.fullmatch(name) and store.find_file(mysql.autocommit, caller.tenant_id, name)
    if not content:
        raise ApiError(errors.NOT_FOUND)
    return RawContent(CONTENT_TYPE, content)
