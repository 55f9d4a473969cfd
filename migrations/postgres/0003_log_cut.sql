-- What a step printed beyond what is kept of its log, as its report declares it.
ALTER TABLE report ADD COLUMN log_dropped_bytes BIGINT NOT NULL DEFAULT 0 CHECK (log_dropped_bytes >= 0);
