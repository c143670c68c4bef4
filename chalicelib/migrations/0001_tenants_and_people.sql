-- Tenants, user accounts, staff and patients.
-- In all tables, times named *_at or *_until, and pay_by, are UTC microseconds since 1970; dates of birth and days are
-- calendar dates without a time zone. Other columns named *_by hold the user_id of who did it. Columns named *_sealed
-- hold AES-GCM ciphertext, columns named *_blind a keyed hash of a value, by which it is found.
-- Collations: texts that are compared as a whole (names in unique keys, skills) are utf8mb4_bin, so that no two different
-- names are equal. Other texts are utf8mb4_unicode_520_ci: searches ignore case. Only that one may be searched by LIKE: in
-- utf8mb4_bin and utf8mb4_unicode_ci the upper bound of 'x%' is x followed by U+FFFF, below all 4-byte characters, and
-- in utf8mb4_unicode_ci all 4-byte characters are equal.
-- Every table has tenant_id, and no query joins rows of two tenants, so that a tenant can move to another database.

CREATE TABLE tenants (
    tenant_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    name         VARCHAR(64) NOT NULL,
    external_id  VARBINARY(64) NULL,  -- the identifier used by the hospital's own systems (entId)
    keys_act_for_staff  BOOLEAN NOT NULL DEFAULT 0,  -- whether internal keys may act for doctors and service staff
    created_at   BIGINT NOT NULL,
    UNIQUE KEY external_id (external_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Host names; a request without a token belongs to the tenant of its host.
CREATE TABLE tenant_hosts (
    host       VARBINARY(255) PRIMARY KEY,
    tenant_id  BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Allocates user ids: patients' accounts and staff share one number range.
CREATE TABLE people (
    user_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    kind        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- patient or staff
    created_at  BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Patients' accounts. An account without a profile (name '') shows the details of its first member.
CREATE TABLE accounts (
    user_id        BIGINT PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    phone_sealed   VARBINARY(128) NULL,  -- encrypted; NULL when the account is closed or has lost its phone
    phone_blind    BINARY(32) NULL,  -- blind index of the phone
    password_hash  VARBINARY(255) NOT NULL,
    name           VARCHAR(64) NOT NULL DEFAULT '',
    name_key       VARCHAR(64) NOT NULL DEFAULT '',  -- as searched, see people/names.py
    gender         TINYINT NOT NULL DEFAULT 0,  -- 0 unknown, 1 male, 2 female, 9 unspecified
    birthday       DATE NULL,
    photo_key      VARBINARY(255) NOT NULL DEFAULT '',  -- S3 key of the avatar, '' for none
    created_at     BIGINT NOT NULL,
    last_sign_in_at     BIGINT NULL,
    identity_locked_at  BIGINT NULL,  -- when a reset by SMS limited the account to confirming whose it is; NULL: not limited
    missed_cleared_at   BIGINT NULL,  -- missed visits before do not count against the account
    closed_at           BIGINT NULL,
    replaced_by         BIGINT NULL,  -- user_id of the account that the phone's new owner got instead of this one
    UNIQUE KEY phone (tenant_id, phone_blind)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- 就诊人: the people an account asks and books for, including its owner.
CREATE TABLE members (
    member_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    user_id        BIGINT NOT NULL,
    pati_id        BIGINT NULL,  -- the patient file, set when the member is added; without one a member cannot book
    name           VARCHAR(64) NOT NULL,
    name_key       VARCHAR(64) NOT NULL DEFAULT '',  -- as searched, see people/names.py
    gender         TINYINT NOT NULL DEFAULT 0,  -- 0 unknown, 1 male, 2 female, 9 unspecified
    birthday       DATE NULL,
    phone_sealed   VARBINARY(128) NULL,  -- encrypted, NULL for none
    cont_relation  TINYINT NOT NULL DEFAULT 1,  -- 1 self, 2 spouse, 3 parent, 4 child, 5 other relative, 9 other
    is_default     TINYINT NOT NULL DEFAULT 0,  -- 0 or 1
    live           TINYINT NULL DEFAULT 1,  -- 1, or NULL when removed
    removed_at     BIGINT NULL,
    removed_by     BIGINT NULL,  -- user_id: the account, the file's owner or a member of staff
    created_at     BIGINT NOT NULL,
    KEY by_account (user_id, member_id),
    UNIQUE KEY patient_of_account (pati_id, user_id, live)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE departments (
    dept_id       BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id     BIGINT NOT NULL,
    name          VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,
    introduction  VARCHAR(4000) NOT NULL DEFAULT '',
    photo_key     VARBINARY(255) NOT NULL DEFAULT '',  -- S3 key, '' for none
    sort          INT NOT NULL DEFAULT 0,  -- position in lists, ascending
    created_at    BIGINT NOT NULL,
    UNIQUE KEY name (tenant_id, name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE staff (
    user_id        BIGINT PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    role           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- doctor, service_staff or admin
    phone_sealed   VARBINARY(128) NOT NULL,  -- encrypted
    phone_blind    BINARY(32) NOT NULL,  -- blind index of the phone
    password_hash  VARBINARY(255) NOT NULL,
    name           VARCHAR(64) NOT NULL,
    totp_sealed         VARBINARY(255) NULL,  -- secret of the second factor in force, encrypted; NULL for none
    totp_confirmed_at   BIGINT NULL,  -- when a first code proved that the app has the secret
    totp_last_step      BIGINT NOT NULL DEFAULT 0,  -- the latest time step whose code was accepted
    totp_pending_sealed VARBINARY(255) NULL,  -- a new secret, encrypted, until its first code confirms it
    totp_pending_at     BIGINT NULL,
    totp_pending_token_hash  BINARY(32) NULL,  -- of the session that requested the new secret
    disabled_at    BIGINT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE KEY phone (tenant_id, phone_blind)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Public profiles of doctors; one row for each member of staff whose role is doctor.
CREATE TABLE doctors (
    user_id       BIGINT PRIMARY KEY,
    tenant_id     BIGINT NOT NULL,
    dept_id       BIGINT NULL,
    duty_code     VARCHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- professional rank 0-4, '' unknown
    title         VARCHAR(64) NOT NULL DEFAULT '',
    photo_key     VARBINARY(255) NOT NULL DEFAULT '',  -- S3 key, '' for none
    expert        VARCHAR(255) NOT NULL DEFAULT '',  -- fields of expertise
    introduction  TEXT NOT NULL,
    sort          INT NOT NULL DEFAULT 0,  -- position in lists, ascending
    KEY by_sort (tenant_id, sort, user_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Patient files. A verified file is the only one of its person, and shared by all accounts that book for the person;
-- any number of self-declared files may claim the same person.
CREATE TABLE patients (
    pati_id          BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    name             VARCHAR(64) NOT NULL,  -- as entered
    name_key         VARCHAR(64) NOT NULL,  -- as searched, see people/names.py
    gender           TINYINT NOT NULL DEFAULT 0,  -- 0 unknown, 1 male, 2 female, 9 unspecified
    birthday         DATE NULL,
    phone_sealed     VARBINARY(128) NULL,  -- encrypted, NULL for none
    phone_blind      BINARY(32) NULL,  -- blind index of the phone: a keyed hash for equality searches
    phone_unconfirmed_since  BIGINT NULL,  -- since when the phone proves nothing, until the front desk confirms it; NULL: it proves whose the file is
    province         VARCHAR(64) NOT NULL DEFAULT '',
    city             VARCHAR(64) NOT NULL DEFAULT '',
    county           VARCHAR(64) NOT NULL DEFAULT '',
    address          VARCHAR(255) NOT NULL DEFAULT '',
    cont_name        VARCHAR(64) NOT NULL DEFAULT '',  -- the contact person
    cont_relation    TINYINT NULL,  -- 1 self, 2 spouse, 3 parent, 4 child, 5 other relative, 9 other
    cont_phone_sealed  VARBINARY(128) NULL,  -- encrypted, NULL for none
    photo_key        VARBINARY(255) NOT NULL DEFAULT '',  -- S3 key, '' for none
    trea_id          BIGINT NULL,  -- the latest registered visit
    status           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'declared',  -- declared, verified, temporary or merged
    card_no          CHAR(12) CHARACTER SET ascii COLLATE ascii_bin NULL,  -- random number printed on the visit card
    merged_into      BIGINT NULL,  -- pati_id of the file that replaces a merged one
    verified_at      BIGINT NULL,
    verified_by      BIGINT NULL,  -- user_id: the account, or the member of staff who saw the document
    verified_how     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- phone, code, card, front_desk or registration
    description      VARCHAR(255) NOT NULL DEFAULT '',  -- of a temporary file: what the person looks like, where they were found
    missed_cleared_at  BIGINT NULL,  -- missed visits before do not count against the patient
    stored_at        BIGINT NULL,  -- when the last account closed: the file is kept in storage and read for a logged reason only
    created_by       BIGINT NULL,  -- user_id
    idempotency_key  VARBINARY(128) NULL,  -- Idempotency-Key of the request that created the file
    created_at       BIGINT NOT NULL,
    changed_at       BIGINT NOT NULL,
    UNIQUE KEY card_no (tenant_id, card_no),
    UNIQUE KEY idempotency_key (tenant_id, created_by, idempotency_key),
    KEY by_tenant (tenant_id, pati_id, status),
    KEY by_name (tenant_id, name_key, status),
    KEY by_phone (tenant_id, phone_blind)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Identity documents of patient files, verified or only declared.
CREATE TABLE patient_documents (
    document_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id       BIGINT NOT NULL,
    pati_id         BIGINT NOT NULL,
    id_type         VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- see people/documents.py
    number_sealed   VARBINARY(255) NULL,  -- the number, encrypted
    number_blind    BINARY(32) NOT NULL,  -- blind index of type and number: a keyed hash for equality searches
    identity_blind  BINARY(32) NOT NULL,  -- blind index of the identity that the document proves, without its country
    country         VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- that issued it, '' if unknown
    is_primary      TINYINT NULL,  -- 1 for the document that is shown where there is room for one, else NULL
    created_by      BIGINT NULL,  -- user_id
    created_at      BIGINT NOT NULL,
    UNIQUE KEY document_of_file (pati_id, number_blind, country),
    UNIQUE KEY primary_of_file (pati_id, is_primary),
    KEY by_number (tenant_id, number_blind),
    KEY by_identity (tenant_id, identity_blind)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The verified file of each identity. Any number of self-declared files may claim the same identity in their documents.
-- Documents with the same citizen number prove one identity. Passports of two countries with one number prove two; while
-- the country of one is unknown, it belongs to no other file (people/patient_documents.py, claim_identities).
CREATE TABLE patient_identities (
    tenant_id       BIGINT NOT NULL,
    identity_blind  BINARY(32) NOT NULL,
    country         VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    pati_id         BIGINT NOT NULL,
    PRIMARY KEY (pati_id, identity_blind, country),
    UNIQUE KEY identity (tenant_id, identity_blind, country)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- A row for each identity that was ever claimed, whatever the country: the lock of those who claim it.
CREATE TABLE claimed_identities (
    tenant_id       BIGINT NOT NULL,
    identity_blind  BINARY(32) NOT NULL,
    PRIMARY KEY (tenant_id, identity_blind)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Guardians of children. A guardian needs no patient file.
CREATE TABLE guardians (
    pati_id         BIGINT PRIMARY KEY,
    tenant_id       BIGINT NOT NULL,
    name            VARCHAR(64) NOT NULL,
    id_type         VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number_sealed   VARBINARY(255) NOT NULL,
    phone_sealed    VARBINARY(128) NOT NULL,
    cont_relation   TINYINT NOT NULL,  -- what the guardian is to the child, as members.cont_relation: 3, 5 or 9
    consent_version INT NOT NULL,  -- of the privacy notice, 0 if the hospital has published none
    consented_at    BIGINT NOT NULL,
    changed_by      BIGINT NULL,  -- user_id
    changed_at      BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Merged files, and what a split gives back. Bookings follow their members.
CREATE TABLE patient_merges (
    merge_id        BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id       BIGINT NOT NULL,
    source_pati_id  BIGINT NOT NULL,  -- the file that was merged
    target_pati_id  BIGINT NOT NULL,  -- the file that replaces it
    how             VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- as patients.verified_how
    moved           TEXT NOT NULL,  -- JSON: what moved from source to target, see patient_identity/merging.py
    merged_by       BIGINT NULL,  -- user_id
    merged_at       BIGINT NOT NULL,
    live            TINYINT NULL DEFAULT 1,  -- 1, or NULL when split again
    split_by        BIGINT NULL,  -- user_id
    split_at        BIGINT NULL,
    UNIQUE KEY source (source_pati_id, live),
    KEY by_target (tenant_id, target_pati_id, merge_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Versions of a hospital's privacy notice. Consents name the version that was shown.
CREATE TABLE privacy_notices (
    tenant_id     BIGINT NOT NULL,
    version       INT NOT NULL,
    text          MEDIUMTEXT NOT NULL,
    requires_consent  BOOLEAN NOT NULL,  -- whether consents to earlier versions have to be given again
    published_by  BIGINT NOT NULL,  -- user_id
    published_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, version)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Consents of accounts, each for one purpose. Rows are only added, and withdrawn.
CREATE TABLE consents (
    consent_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id     BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    purpose       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- notice, health_data or minors
    version       INT NOT NULL,  -- of the privacy notice
    address       VARBINARY(64) NOT NULL,  -- IP address
    given_at      BIGINT NOT NULL,
    withdrawn_at  BIGINT NULL,
    KEY by_account (tenant_id, user_id, purpose, consent_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Exports, each an object in S3: of an account's own data, or of a list for an admin.
CREATE TABLE account_exports (
    export_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id     BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    list_name     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- see admin/export_models.py; '' for an account's own data
    filters       VARCHAR(1000) NOT NULL DEFAULT '',  -- of the list, JSON
    row_count     INT NOT NULL DEFAULT 0,  -- of the list
    truncated     BOOLEAN NOT NULL DEFAULT 0,  -- whether the list had more
    object_key    VARBINARY(255) NOT NULL,  -- S3 key, '' once the object is deleted
    requested_at  BIGINT NOT NULL,
    finished_at   BIGINT NULL,  -- when the object was written
    delete_at     BIGINT NULL,  -- when the object is to be deleted, NULL once it is
    KEY by_account (tenant_id, user_id, export_id),
    KEY by_deletion (delete_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
