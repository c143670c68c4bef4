-- Appointments: schedules, weekly patterns, bookings and the hospital's rules.

-- Half-days that patients can book, of a doctor or of a department's general clinic, divided into numbered slots.
-- A stopped schedule has live = NULL, which frees its unique keys for a replacement. Schedules are never deleted.
CREATE TABLE schedules (
    schedule_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id    BIGINT NOT NULL,
    dept_id      BIGINT NOT NULL,
    doctor_id    BIGINT NULL,  -- NULL for the department's general clinic
    clinic_id    BIGINT NULL,  -- equal to dept_id if doctor_id is NULL, else NULL: for the unique key clinic_half_day
    day          DATE NOT NULL,
    half_day     VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- AM or PM
    type         TINYINT NOT NULL,  -- 0 ordinary, 1 expert
    fee          INT NOT NULL,  -- fen
    area         VARCHAR(64) NOT NULL,  -- waiting area
    begins       TIME NOT NULL,
    ends         TIME NOT NULL,
    slots        SMALLINT NOT NULL,  -- number of slots
    desk_slots     SMALLINT NOT NULL DEFAULT 0,  -- the last ones, which only the front desk can book
    same_day_slots SMALLINT NOT NULL DEFAULT 0,  -- those before them, which patients can book only on the day itself
    release_days   SMALLINT NULL,  -- so many days before, patients can book from release_time on; NULL for no such time
    release_time   TIME NOT NULL DEFAULT '00:00:00',
    pattern_id   BIGINT NULL,  -- the pattern that created it, NULL if created by hand
    live         TINYINT NULL DEFAULT 1,  -- 1, or NULL when stopped
    stopped_at   BIGINT NULL,
    stopped_by   BIGINT NULL,  -- user_id
    stop_reason  VARCHAR(255) NOT NULL DEFAULT '',  -- shown to its patients
    substitute_id  BIGINT NULL,  -- the schedule of the doctor who sees its patients instead
    created_by   BIGINT NOT NULL,  -- user_id
    created_at   BIGINT NOT NULL,
    UNIQUE KEY doctor_half_day (tenant_id, doctor_id, day, half_day, live),
    UNIQUE KEY clinic_half_day (tenant_id, clinic_id, day, half_day, live),
    UNIQUE KEY pattern_day (pattern_id, day),  -- a pattern creates each day once, even if that schedule was changed or stopped
    KEY by_department (tenant_id, dept_id, day),
    KEY by_day (tenant_id, day, half_day, dept_id, doctor_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Weekly patterns, from which schedules are created some weeks ahead.
CREATE TABLE schedule_patterns (
    pattern_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    dept_id     BIGINT NOT NULL,
    doctor_id   BIGINT NULL,  -- NULL for the department's general clinic
    clinic_id   BIGINT NULL,  -- as in schedules
    weekday     TINYINT NOT NULL,  -- 1 Monday to 7 Sunday
    half_day    VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- AM or PM
    type        TINYINT NOT NULL,  -- 0 ordinary, 1 expert
    fee         INT NOT NULL,  -- fen
    area        VARCHAR(64) NOT NULL,  -- waiting area
    begins      TIME NOT NULL,
    ends        TIME NOT NULL,
    slots       SMALLINT NOT NULL,  -- number of slots
    desk_slots      SMALLINT NOT NULL DEFAULT 0,  -- this and the following ones as in schedules
    same_day_slots  SMALLINT NOT NULL DEFAULT 0,
    release_days    SMALLINT NULL,
    release_time    TIME NOT NULL DEFAULT '00:00:00',
    live        TINYINT NULL DEFAULT 1,  -- 1, or NULL when ended
    created_by  BIGINT NOT NULL,  -- user_id
    created_at  BIGINT NOT NULL,
    UNIQUE KEY doctor_half_day (tenant_id, doctor_id, weekday, half_day, live),
    UNIQUE KEY clinic_half_day (tenant_id, clinic_id, weekday, half_day, live)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Booked slots. The unique keys alone prevent that a slot is booked twice and that a patient has two bookings in a
-- half-day (unless booking_rules.half_day_rule is lifted), or two with a doctor on a day; a cancelled booking has
-- live = NULL, which frees them. The patient's lock prevents that two bookings of a patient begin less than
-- booking_rules.gap_minutes apart.
-- Fee, time and area are copied when booking, so that later changes of the schedule do not affect the booking.
-- Rescheduling changes the slot, and what is copied with it, of the same row; the fee, the payment and the code stay.
CREATE TABLE bookings (
    book_id          BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    schedule_id      BIGINT NOT NULL,
    serial_no        SMALLINT NOT NULL,  -- the slot's number, from 1; above schedules.slots for an additional slot
    user_id          BIGINT NULL,  -- the account that booked; NULL if the front desk booked for a patient without one
    member_id        BIGINT NULL,  -- NULL if user_id is
    idempotency_key  VARBINARY(128) NULL,  -- Idempotency-Key of the request, kept after a cancellation
    pati_id          BIGINT NOT NULL,  -- the patient, whichever account booked
    dept_id          BIGINT NOT NULL,
    doctor_id        BIGINT NULL,  -- NULL for the department's general clinic
    day              DATE NOT NULL,
    half_day         VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- AM or PM
    slot_time        TIME NOT NULL,
    type             TINYINT NOT NULL,  -- 0 ordinary, 1 expert
    fee              INT NOT NULL,  -- fen
    area             VARCHAR(64) NOT NULL,  -- waiting area
    book_code        CHAR(14) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- YYYYMMDD, the day first booked, and six random digits
    status           TINYINT NOT NULL DEFAULT 0,  -- 0 booked, 1 cancelled, 2 registered, 3 missed
    payment_state    TINYINT NOT NULL DEFAULT 1,  -- 1 unpaid, 2 paid
    pay_by           BIGINT NULL,  -- payment deadline by the rules at booking time, NULL for none
    till_receipt_no  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,  -- paid at the hospital's till, not through us
    confirm_by       BIGINT NULL,  -- a slot that the waitlist gave is to be confirmed by then, NULL once it is
    live             TINYINT NULL DEFAULT 1,  -- 1, or NULL when cancelled
    person_live      TINYINT NULL DEFAULT 1,  -- as live; also NULL if a merge of files brought it beside a conflicting one
    half_day_live    TINYINT NULL DEFAULT 1,  -- as person_live; also NULL if booked while half_day_rule was lifted
    is_declared      BOOLEAN NOT NULL DEFAULT 0,  -- booked for a self-declared file: counts against the account alone
    cancelled_for    VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- patient, stopped, unpaid, lapsed or desk
    changed_by       BIGINT NULL,  -- user_id that cancelled or registered it, NULL for a job
    changed_at       BIGINT NOT NULL,
    reminded_at      BIGINT NULL,
    seen_at          BIGINT NULL,  -- when the doctor saw the patient; a registered patient without it still waits
    changes          SMALLINT NOT NULL DEFAULT 0,  -- how often it was rescheduled
    origin           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'patient',  -- patient, desk, additional or waitlist
    booked_by        BIGINT NULL,  -- user_id of the member of staff who booked it
    created_at       BIGINT NOT NULL,
    UNIQUE KEY slot (schedule_id, serial_no, live),
    UNIQUE KEY patient_half_day (tenant_id, pati_id, day, half_day, half_day_live),
    UNIQUE KEY patient_doctor_day (tenant_id, pati_id, doctor_id, day, person_live),
    UNIQUE KEY book_code (tenant_id, book_code),
    KEY by_account (tenant_id, user_id, book_id),
    KEY by_patient (tenant_id, pati_id, status, day),
    KEY by_doctor (tenant_id, doctor_id, pati_id),
    KEY by_member (member_id, status),
    KEY by_tenant_day (tenant_id, day, book_id),  -- this and the next three: lists of all bookings, the latest day first
    KEY by_doctor_day (tenant_id, doctor_id, day, book_id),
    KEY by_department_day (tenant_id, dept_id, day, book_id),
    KEY by_tenant_status (tenant_id, status, day, book_id),
    KEY by_status (status, day),
    KEY by_payment_deadline (status, payment_state, pay_by),
    KEY by_confirmation (status, confirm_by),
    UNIQUE KEY idempotency_key (tenant_id, user_id, idempotency_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Who waits for a schedule that is fully booked, in the order of entry_id. A request for several days of a doctor has an
-- entry for each of them. A slot that becomes free is given to the first one that waits, as a booking to be confirmed.
CREATE TABLE waitlist_entries (
    entry_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id    BIGINT NOT NULL,
    group_id     BIGINT NOT NULL,  -- the request: the entry_id of its first entry
    schedule_id  BIGINT NOT NULL,
    user_id      BIGINT NOT NULL,
    member_id    BIGINT NOT NULL,
    state        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- see WaitState
    waiting      TINYINT NULL DEFAULT 1,  -- 1 in the state waiting, else NULL
    live         TINYINT NULL DEFAULT 1,  -- 1 while it may still lead to a booking, else NULL
    book_id      BIGINT NULL,  -- the booking that the waitlist gave
    changed_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    UNIQUE KEY member (member_id, schedule_id, live),
    KEY in_line (schedule_id, waiting, entry_id),
    KEY by_account (tenant_id, user_id, entry_id),
    KEY by_group (group_id),
    KEY by_booking (book_id),
    KEY by_waiting (waiting, schedule_id),
    KEY by_state (state, changed_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The queue of each schedule on the day of the visit: an entry for each booking that was registered, which is its check-in.
-- An entry counts while its booking is live, so cancelling a booking changes nothing here. Entries change under the lock of
-- the schedule.
CREATE TABLE queue_entries (
    book_id        BIGINT PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    schedule_id    BIGINT NOT NULL,  -- whose queue it is in: that of a substitute, once one has taken over
    state          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- see QueueState
    place          INT NOT NULL,  -- order of those who wait; others keep their last one
    segment        TIME NOT NULL,  -- when the part of the half-day begins in which the patient is called
    is_returning   BOOLEAN NOT NULL DEFAULT 0,  -- waits to show results (回诊)
    calls          SMALLINT NOT NULL DEFAULT 0,  -- how often the patient was called
    skips          SMALLINT NOT NULL DEFAULT 0,  -- how often the patient did not come
    called_at      BIGINT NULL,  -- when last
    called_by      BIGINT NULL,  -- user_id
    announced_at   BIGINT NULL,  -- when the patient was notified that few are before them
    checked_in_at  BIGINT NOT NULL,
    KEY by_schedule (schedule_id, state, place)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The code of a department by which patients check in: a QR code in its waiting area.
CREATE TABLE checkin_codes (
    dept_id     BIGINT PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    code        CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- random
    changed_by  BIGINT NOT NULL,  -- user_id
    changed_at  BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Screens in waiting rooms. Each signs in with a device key, a token of the principal screen:ID.
CREATE TABLE screens (
    screen_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    dept_id     BIGINT NOT NULL,
    area        VARCHAR(64) NOT NULL,  -- shows the schedules of this waiting area, '' for all of the department
    name        VARCHAR(64) NOT NULL,
    revoked_at  BIGINT NULL,
    created_by  BIGINT NOT NULL,  -- user_id
    created_at  BIGINT NOT NULL,
    KEY by_tenant (tenant_id, screen_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Each rescheduling of a booking. Rows are never changed.
CREATE TABLE booking_changes (
    change_id        BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    book_id          BIGINT NOT NULL,
    number           SMALLINT NOT NULL,  -- 1, 2, 3 … for each booking: bookings.changes afterwards
    old_schedule_id  BIGINT NOT NULL,
    old_serial_no    SMALLINT NOT NULL,
    old_day          DATE NOT NULL,
    old_slot_time    TIME NOT NULL,
    schedule_id      BIGINT NOT NULL,  -- the new one
    serial_no        SMALLINT NOT NULL,
    changed_by       BIGINT NOT NULL,  -- user_id: of the account, or of a member of staff
    idempotency_key  VARBINARY(128) NULL,  -- Idempotency-Key of the request
    created_at       BIGINT NOT NULL,
    UNIQUE KEY number (book_id, number),
    UNIQUE KEY idempotency_key (tenant_id, changed_by, idempotency_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Days on which a doctor, or the whole hospital, sees no patients: patterns create no schedules there.
CREATE TABLE closures (
    closure_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    doctor_id   BIGINT NULL,  -- NULL for the whole hospital
    from_day    DATE NOT NULL,
    to_day      DATE NOT NULL,  -- the last one
    reason      VARCHAR(255) NOT NULL,  -- shown to patients
    ended_at    BIGINT NULL,  -- when it was withdrawn
    created_by  BIGINT NOT NULL,  -- user_id
    created_at  BIGINT NOT NULL,
    KEY by_day (tenant_id, to_day)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Make-up days (调休): days of a weekend on which patterns of another weekday create schedules.
CREATE TABLE makeup_days (
    makeup_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    day         DATE NOT NULL,
    weekday     TINYINT NOT NULL,  -- whose patterns it follows: 1 Monday to 7 Sunday
    live        TINYINT NULL DEFAULT 1,  -- 1, or NULL when withdrawn
    ended_at    BIGINT NULL,  -- when it was withdrawn
    created_by  BIGINT NOT NULL,  -- user_id
    created_at  BIGINT NOT NULL,
    UNIQUE KEY day (tenant_id, day, live)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- What patients were offered when the hospital stopped their schedule: the booking was moved to a substitute doctor, or to
-- a slot that is held until it expires.
CREATE TABLE alternatives (
    alternative_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id       BIGINT NOT NULL,
    book_id         BIGINT NOT NULL,
    number          SMALLINT NOT NULL,  -- bookings.changes after the move; when that differs, the booking was moved again
    schedule_id     BIGINT NOT NULL,  -- the stopped one
    kind            VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- substitute or held
    state           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',  -- open, accepted, declined, lapsed or ended
    expires_at      BIGINT NOT NULL,  -- held: unless accepted before, the booking is cancelled; substitute: when the slot begins
    decided_at      BIGINT NULL,
    created_at      BIGINT NOT NULL,
    UNIQUE KEY number (book_id, number),
    KEY by_expiry (state, expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Amounts to refund of what was paid for bookings: all that is left when a booking is cancelled, and parts before that.
CREATE TABLE refunds_due (
    due_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    book_id     BIGINT NOT NULL,
    fee         INT NOT NULL,  -- fen
    reason      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- bookings.cancelled_for, or partial
    created_at  BIGINT NOT NULL,
    KEY by_booking (book_id),
    KEY by_tenant (tenant_id, book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The hospital's booking rules; a tenant without a row has the default rules.
CREATE TABLE booking_rules (
    tenant_id       BIGINT PRIMARY KEY,
    days_ahead      SMALLINT NOT NULL,  -- how many days ahead patients can book
    cancel_minutes  INT NOT NULL,  -- cancelling is possible at least this many minutes before the slot
    cancel_workdays SMALLINT NOT NULL,  -- and until cancel_hour of so many working days before, 0 for no such deadline
    cancel_hour     TINYINT NOT NULL,
    daily_limit     SMALLINT NOT NULL,  -- bookings made for a patient in a day, cancelled ones included
    pay_minutes     INT NOT NULL,  -- minutes to pay, 0 for no deadline
    missed_limit    SMALLINT NOT NULL,  -- missed bookings after which a patient cannot book
    weeks_ahead     SMALLINT NOT NULL,  -- how many weeks ahead patterns create schedules
    half_day_rule   BOOLEAN NOT NULL,  -- whether a patient can have only one booking in a half-day
    gap_minutes     SMALLINT NOT NULL,  -- minimum minutes between the beginnings of two bookings of a patient
    hold_hours       SMALLINT NOT NULL,  -- how long a slot is held for the patient of a stopped schedule, 0 for not at all
    waitlist_limit   SMALLINT NOT NULL,  -- how often a person can wait at one time, 0 for no waitlist
    offer_minutes    SMALLINT NOT NULL,  -- to confirm what the waitlist gives
    offer_stop_minutes SMALLINT NOT NULL,  -- nothing is given to the waitlist later than so long before the slot
    quiet_from       TINYINT NOT NULL,  -- hour at which quiet hours begin, and at which they end
    quiet_to         TINYINT NOT NULL,
    reschedule_limit SMALLINT NOT NULL,  -- how often a patient can reschedule a booking, 0 for not at all
    checkin_minutes  SMALLINT NOT NULL,  -- so many minutes before the slot, patients can check in by the code of the department
    segment_minutes  SMALLINT NOT NULL,  -- length of the parts of a half-day in whose order patients are called
    changed_by      BIGINT NOT NULL,  -- user_id
    changed_at      BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Information for everyone who books.
CREATE TABLE service_info (
    tenant_id    BIGINT PRIMARY KEY,
    appo_notice  VARCHAR(2000) NOT NULL,
    phone        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_by   BIGINT NOT NULL,  -- user_id
    changed_at   BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
