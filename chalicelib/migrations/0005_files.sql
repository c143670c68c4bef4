-- Uploads and the files made from them. Confirming an upload copies the object to object_key, because the upload form
-- stays valid for a while and could overwrite the original. Uploaded objects are deleted once they are confirmed, and
-- others after a day.
CREATE TABLE files (
    file_id            BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id          BIGINT NOT NULL,
    uploader           VARBINARY(160) NOT NULL,  -- principal that requested the upload form
    place              VARBINARY(64) NOT NULL,  -- what the file belongs to: a conversation's public_id, or avatar
    purpose            VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- chat or photo: the accepted kinds
    extension          VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- expected; once confirmed, the content's
    min_size           BIGINT NOT NULL,  -- bytes the form accepts
    max_size           BIGINT NOT NULL,
    upload_key         VARBINARY(255) NOT NULL,  -- S3 key of the upload
    object_key         VARBINARY(255) NULL,  -- S3 key of the confirmed copy, NULL until confirmed
    size               BIGINT NULL,  -- bytes
    created_at         BIGINT NOT NULL,
    confirmed_at       BIGINT NULL,
    upload_deleted_at  BIGINT NULL,
    withdrawn_at       BIGINT NULL,  -- with its message; the object moves to {tenant}/withdrawn/
    UNIQUE KEY upload_key (upload_key),
    UNIQUE KEY object_key (object_key),
    KEY by_cleanup (upload_deleted_at, created_at),
    KEY by_uploader (tenant_id, uploader, place, file_id),
    KEY by_day (tenant_id, uploader, created_at, max_size, size)  -- all that the quotas of a day need
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
