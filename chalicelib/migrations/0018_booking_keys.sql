-- A copy of a request to book that arrives late, perhaps after its slot was given back, is the booking that it made.
ALTER TABLE bookings
    ADD COLUMN retry_key VARBINARY(128) NULL AFTER member_id,
    ADD UNIQUE KEY resend (tenant_id, user_id, retry_key);
