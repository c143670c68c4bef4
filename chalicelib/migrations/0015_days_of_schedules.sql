-- The desk's list of all schedules between two days, in its order: it read every schedule that the hospital ever had.
ALTER TABLE schedules ADD KEY by_day (tenant_id, day, half, dept_id, doctor_id);
