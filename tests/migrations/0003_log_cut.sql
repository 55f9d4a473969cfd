-- What a database holds after 0003 besides: the report of a step that printed more than is kept.

INSERT INTO report
    (step_id, fence, envelope, payload, received_at, log_dropped_bytes)
VALUES
    ('step-1', 2, X'7b7d', 'payload', 1760000000000000, 142000000);
