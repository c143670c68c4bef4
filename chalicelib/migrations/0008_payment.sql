-- Payment of bookings through WeChat Pay. All amounts are in fen.

-- A hospital's merchant accounts. One is in use; a refund goes through the account that received the payment.
CREATE TABLE wechat_merchants (
    tenant_id           BIGINT NOT NULL,
    mch_id              VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    in_use              TINYINT NULL,  -- 1 or NULL
    version             VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- WeChat Pay API: v3 or v2
    sign_type           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    key_sealed          VARBINARY(512) NOT NULL,  -- API key, encrypted
    serial              VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- serial number of the merchant certificate
    private_key_sealed  VARBINARY(8192) NOT NULL,  -- encrypted
    certificate         TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- merchant certificate (PEM), required for v2 refunds
    public_keys         TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- JSON: WeChat Pay's public keys by serial number
    changed_by          BIGINT NOT NULL,  -- user_id
    changed_at          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, mch_id),
    UNIQUE KEY in_use (tenant_id, in_use)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- 收费单: what a booking costs.
CREATE TABLE charges (
    charge_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    book_id     BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,
    pati_id     BIGINT NOT NULL,
    fee         INT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE KEY booking (book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- 结算单: how a charge is settled.
CREATE TABLE settlements (
    settlement_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    charge_id      BIGINT NOT NULL,
    book_id        BIGINT NOT NULL,
    fee            INT NOT NULL,
    payment_id     BIGINT NULL,  -- NULL until settled, and where there is no fee
    settled_at     BIGINT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE KEY charge (charge_id),
    UNIQUE KEY booking (book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Orders at WeChat Pay. A booking has one live order; money paid to another one is refunded.
CREATE TABLE payments (
    payment_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id       BIGINT NOT NULL,
    settlement_id   BIGINT NOT NULL,
    book_id         BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    out_trade_no    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id          VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    mch_id          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sign_type       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    open_id         VARBINARY(128) NOT NULL,
    fee             INT NOT NULL,
    state           VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'created',  -- created, success or closed
    live            TINYINT NULL DEFAULT 1,  -- 1, or NULL when replaced by another order or closed
    prepay_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    transaction_id  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- WeChat's number, '' until paid
    expires_at      BIGINT NOT NULL,
    paid_at         BIGINT NULL,
    check_at        BIGINT NOT NULL,  -- when to query WeChat unless a payment notification arrives before
    checks          INT NOT NULL DEFAULT 0,  -- number of queries
    refund_requested_at  BIGINT NULL,  -- when a refund of it was requested last: requests are a minute apart
    created_at      BIGINT NOT NULL,
    UNIQUE KEY out_trade_no (out_trade_no),
    UNIQUE KEY live_of_booking (book_id, live),
    KEY by_prepay_id (tenant_id, user_id, prepay_id),
    KEY by_transaction (tenant_id, transaction_id),
    KEY by_time (tenant_id, created_at),
    KEY by_tenant_state (tenant_id, state, created_at),
    KEY by_check (state, check_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Refunds: at most 50 for a payment, together at most its amount. The payment's row is locked when one is inserted. A
-- refund that fails is requested again, so each counts whatever its state.
CREATE TABLE refunds (
    refund_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    payment_id     BIGINT NOT NULL,
    number         SMALLINT NOT NULL,  -- of the payment's refunds, from 1
    due_id         BIGINT NULL,  -- in refunds_due; NULL for a payment that came too late or twice
    book_id        BIGINT NOT NULL,
    out_refund_no  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fee            INT NOT NULL,
    reason         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- patient, stopped, partial, late or duplicate
    state          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',  -- pending, processing, success or abnormal
    wechat_id      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- WeChat's refund_id
    error          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- WeChat's latest error code
    done_at        BIGINT NULL,
    check_at       BIGINT NOT NULL,  -- when to request or query it again
    checks         INT NOT NULL DEFAULT 0,  -- number of requests and queries
    created_at     BIGINT NOT NULL,
    UNIQUE KEY payment_number (payment_id, number),
    UNIQUE KEY due (due_id),
    UNIQUE KEY out_refund_no (out_refund_no),
    KEY by_booking (book_id),
    KEY by_wechat_id (tenant_id, wechat_id),
    KEY by_time (tenant_id, created_at),
    KEY by_tenant_state (tenant_id, state, created_at),
    KEY by_check (state, check_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Audit log of payments and refunds. Rows are only added. detail is an id, error code or trade state of WeChat Pay, the
-- reason of a refund, or an out_refund_no that was replaced.
CREATE TABLE payment_ledger (
    entry_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    payment_id  BIGINT NOT NULL,
    refund_id   BIGINT NULL,
    event       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- a new state, or another step
    source      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- order, notification, query, refund, booking or person
    detail      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    at          BIGINT NOT NULL,
    KEY by_payment (tenant_id, payment_id, entry_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Refunds that staff request for a booking that stays. Above an amount they wait for a second person.
CREATE TABLE refund_requests (
    request_id       BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    book_id          BIGINT NOT NULL,
    fee              INT NOT NULL,
    reason           VARCHAR(255) NOT NULL,
    state            VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- pending, done or rejected
    requested_by     BIGINT NOT NULL,  -- user_id
    idempotency_key  VARBINARY(160) NOT NULL,  -- of the client, or of the content and time: people/double_submission.py
    decided_by       BIGINT NULL,  -- user_id of the second person; NULL if none decided
    decided_at       BIGINT NULL,
    reject_reason    VARCHAR(255) NOT NULL DEFAULT '',
    created_at       BIGINT NOT NULL,
    UNIQUE KEY idempotency_key (tenant_id, requested_by, idempotency_key),
    KEY by_time (tenant_id, created_at),
    KEY by_state (tenant_id, state, created_at),
    KEY by_booking (tenant_id, book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Above which amount a refund needs a second person; a tenant without a row has the default.
CREATE TABLE refund_rules (
    tenant_id     BIGINT PRIMARY KEY,
    approval_fee  INT NOT NULL,
    changed_by    BIGINT NOT NULL,  -- user_id
    changed_at    BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
