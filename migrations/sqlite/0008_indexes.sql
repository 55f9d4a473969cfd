-- What passes, claims and pages look for is found without reading tables that grow for ever. A condition
-- stands here as statements say it, word for word: SQLite concludes nothing else. Dialect rules: ../README.md.

-- First seen: the same finding in any run of the project.
CREATE INDEX finding_seen ON finding (project_id, fingerprint, found_at);

-- What is under lease, for claims and their limits; and what waits for its proof.
CREATE INDEX step_leased ON step (worker_id, project_id) WHERE state = 'leased';
CREATE INDEX step_reported ON step (reported_at, id) WHERE state = 'reported';
DROP INDEX step_open;

CREATE INDEX run_waiting ON run (created_at, id) WHERE state = 'waiting';
CREATE INDEX run_cancelled ON run (cancel_at) WHERE state IN ('waiting', 'running') AND cancel_at IS NOT NULL;
-- When its release was made, or it was seen that it has no image for one: null while a good run waits for that.
ALTER TABLE run ADD COLUMN released_at INTEGER;
UPDATE run SET released_at = finished_at WHERE state = 'finished' AND cause = 'passed'
    AND (EXISTS (SELECT 1 FROM release x WHERE x.run_id = run.id)
         OR NOT EXISTS (SELECT 1 FROM image i WHERE i.run_id = run.id));
CREATE INDEX run_unreleased ON run (finished_at, id)
    WHERE state = 'finished' AND cause = 'passed' AND released_at IS NULL;
CREATE INDEX run_ended ON run (created_at, id) WHERE state IN ('finished', 'invalid', 'refused');
DROP INDEX run_open;
CREATE INDEX run_open ON run (created_at, id) WHERE state IN ('waiting', 'running');

CREATE INDEX release_list ON release (project_id, made_at, id);
CREATE INDEX release_image_image ON release_image (image_id);
CREATE INDEX sbom_advisories ON sbom (advisories);
CREATE INDEX signature_open ON signature (intended_at) WHERE state <> 'published';

CREATE INDEX promotion_waiting ON promotion (requested_at, id) WHERE state IN ('requested', 'waiting');
CREATE INDEX promotion_applying ON promotion (requested_at, id) WHERE state = 'applying';
CREATE INDEX promotion_applied ON promotion (project_id, environment, applied_at, id) WHERE state = 'applied';
CREATE INDEX promotion_recent ON promotion (requested_at, id);
CREATE INDEX promotion_release ON promotion (release_id, environment);

-- An artifact that is stored looks for rows that name it already.
CREATE INDEX finding_report_artifact ON finding_report (artifact_id);

CREATE INDEX delivery_replays ON delivery (replays_id, received_at, id) WHERE replays_id IS NOT NULL;
