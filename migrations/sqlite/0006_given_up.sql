-- Who gave a promotion up that does not come to its end. Dialect rules: ../README.md.

-- An administrator gave it up: it ends with what stands of it, however long the registry refuses the rest.
ALTER TABLE promotion ADD COLUMN give_up_at INTEGER;
ALTER TABLE promotion ADD COLUMN give_up_by TEXT CHECK ((give_up_at IS NULL) = (give_up_by IS NULL));
ALTER TABLE promotion ADD COLUMN give_up_reason TEXT CHECK ((give_up_at IS NULL) = (give_up_reason IS NULL));
