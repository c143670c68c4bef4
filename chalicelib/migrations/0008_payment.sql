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
    created_at          BIGINT NOT NULL,
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
    KEY by_check (state, check_at),
    KEY by_account_day (tenant_id, mch_id, paid_at)
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
    accepted_at    BIGINT NULL,  -- when WeChat accepted it: its daily bill lists it on that day. NULL until then
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
    KEY by_check (state, check_at),
    KEY by_day (tenant_id, accepted_at)
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

-- The daily bills of merchant accounts, each with the result of comparing it with the ledger: the day's statement. Amounts
-- are NULL until the first comparison. Sums that begin with ledger_ are ours, the others WeChat's.
CREATE TABLE bills (
    bill_id          BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    mch_id           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    day              DATE NOT NULL,
    state            VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'waiting',  -- waiting, fetched, empty or expired
    error            VARCHAR(64) NOT NULL DEFAULT '',  -- of the latest attempt to fetch it
    fund_error       VARCHAR(64) NOT NULL DEFAULT '',  -- why there is no fund flow bill
    has_fund_bill    TINYINT NOT NULL DEFAULT 0,
    attempts         INT NOT NULL DEFAULT 0,  -- to fetch it, since the latest success
    check_at         BIGINT NULL,  -- when to fetch it (waiting) or to compare it again; NULL: not by itself
    fetched_at       BIGINT NULL,
    compared_at      BIGINT NULL,
    payment_count    INT NULL,
    payments         BIGINT NULL,
    refund_count     INT NULL,
    refunds          BIGINT NULL,
    discounts        BIGINT NULL,  -- of payments less those of refunds
    commission       BIGINT NULL,  -- of payments less that of refunds
    ledger_payments  BIGINT NULL,
    ledger_refunds   BIGINT NULL,
    created_at       BIGINT NOT NULL,
    UNIQUE KEY account_day (tenant_id, mch_id, day),
    KEY by_check (check_at),
    KEY by_day (tenant_id, day)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- 交易账单: payments, and refunds that were initiated on the day.
CREATE TABLE bill_entries (
    bill_id       BIGINT NOT NULL,
    is_refund     TINYINT NOT NULL,
    wechat_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- transaction_id or refund_id
    tenant_id     BIGINT NOT NULL,
    out_trade_no  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- out_trade_no or out_refund_no
    state         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- SUCCESS, or the refund's when the bill was created
    fee           BIGINT NOT NULL,
    settled       BIGINT NOT NULL,  -- without discounts, which others pay
    commission    BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (bill_id, is_refund, wechat_id),
    KEY by_number (number, is_refund)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- 资金账单: changes of the account's balance.
CREATE TABLE fund_entries (
    bill_id    BIGINT NOT NULL,
    line       INT NOT NULL,
    tenant_id  BIGINT NOT NULL,
    wechat_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- transaction_id, refund_id, or another number
    fee        BIGINT NOT NULL,  -- negative if the balance decreases
    PRIMARY KEY (bill_id, line),
    KEY by_wechat_id (tenant_id, wechat_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Differences between a bill and the ledger, or between the two bills.
CREATE TABLE bill_differences (
    difference_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    bill_id        BIGINT NOT NULL,
    day            DATE NOT NULL,
    kind           VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- out_trade_no or out_refund_no
    wechat_id      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- '' where the bill has no entry
    book_id        BIGINT NULL,
    bill_fee       BIGINT NULL,  -- what the bill counts on this day; of fund kinds: what the balance should have changed by
    ledger_fee     BIGINT NULL,  -- what the ledger counts on this day; of fund kinds: what it has changed by
    ledger_state   VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- of the order or refund, '' where there is none
    state          VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- open or resolved
    found_at       BIGINT NOT NULL,
    resolved_at    BIGINT NULL,
    resolved_by    BIGINT NULL,  -- user_id; NULL if a later comparison no longer found it
    note           VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE KEY one_each (bill_id, kind, number),
    KEY by_state (tenant_id, state, difference_id),
    KEY by_day (tenant_id, day, difference_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
