-- The most that a worker may claim of how it holds containers apart: granted with its token, by default what our own
-- engine has. Its self-test can only lower it.
ALTER TABLE enrolment_token ADD COLUMN level TEXT NOT NULL DEFAULT 'docker-runc-userns';
ALTER TABLE worker ADD COLUMN granted_level TEXT NOT NULL DEFAULT 'docker-runc-userns';
