-- Clean-up finds who was known in sessions that are long over.
ALTER TABLE wechat_openids ADD KEY old (bound_at);
