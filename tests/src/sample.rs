//! A project as it looks after some weeks: runs that passed, failed and go on, findings, promotions,
//! workers, deliveries and refusals. Written as rows, so that pages have something to show at once.

use ::orchestrator::clock::At;
use ::orchestrator::db::{Conn, Error};
use ::orchestrator::execute;
use ::orchestrator::finding::advisory;
use ::orchestrator::ground::Ground;
use ::orchestrator::id::IdSource;
use ::orchestrator::identity::{Actor, PersonId};
use ::orchestrator::project::{self, ApplyOutcome};
use anyhow::bail;
use contract::digest::Digest;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The project's name.
pub const LEDGER: &str = "ledger-api";

const SETTINGS: &str = "version: 1
project: ledger-api
source: { git: /srv/ledger-api.git }
known-registries: [\"registry.example/base/*\"]
quarantine: registry.example/quarantine/ledger-api
environments:
  dev:
    repository: registry.example/dev/ledger-api
    promote: automatic
    gate: { run: succeeded }
  staging:
    after: [dev]
    repository: registry.example/staging/ledger-api
    promote: automatic
    gate: { run: succeeded, findings: { none-at-or-above: high, accept-unmatched: [deb] } }
  prod:
    after: [staging]
    repository: registry.example/prod/ledger-api
    promote: by-hand
    gate:
      run: succeeded
      findings:
        { none-at-or-above: medium, advisories-confirmed-within: 24h, accept-unmatched: [deb] }
      soak: 24h
      approvals:
        - { from: release-manager, count: 1, expires: 24h }
";

const HOUR: u64 = 3_600;
/// The first run's image.
const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;
/// The worker that works on run 4.
const WORKER: &str = "01900000-0000-7000-8000-0000000000e1";
const RULES: &str = r#"{"level":"docker-runc-userns","rules":[
    {"rule":"no-network","held":true,"seen":"no route to 192.0.2.1"},
    {"rule":"read-only-root","held":true,"seen":"write to /etc: EROFS"},
    {"rule":"no-new-privileges","held":true,"seen":"NoNewPrivs 1"},
    {"rule":"not-root","held":true,"seen":"uid 65532"}]}"#;

/// What of the sample stories name.
pub struct Sample {
    /// The project's id.
    pub project_id: String,
    /// The promotion to prod that waits.
    pub waiting: String,
    /// The release that it is about.
    pub release: String,
    /// A delivery that started run 1.
    pub delivery: String,
    /// A refused request at the project's hook.
    pub refusal: String,
    /// A refused request at no hook of ours.
    pub stranger: String,
    /// How many deliveries and refusals of the project there are.
    pub rows: usize,
}

/// Writes it all; `author` wrote and pushed the commits and requested the promotion.
pub async fn ledger(ground: &Ground, author: &PersonId) -> anyhow::Result<Sample> {
    let applied = project::apply(ground, &Actor::System, 0, SETTINGS.into()).await?;
    let ApplyOutcome::Applied { project_id, .. } = applied else {
        bail!("{applied:?}");
    };
    let sources = advisory::sources(&mut ground.db.reader().await?).await?;
    let writer = Writer {
        ids: Arc::clone(&ground.ids),
        now: ground.now(),
        project: project_id.to_string(),
        author: author.to_string(),
        advisories: advisory::version_of(&sources),
    };
    let write = ground.db.write("test.sample", move |conn| {
        Box::pin(async move { writer.write(conn).await })
    });
    Ok(write.await?)
}

#[derive(Clone)]
struct Writer {
    ids: Arc<dyn IdSource>,
    now: At,
    project: String,
    author: String,
    advisories: String,
}

fn digest(seed: i64) -> String {
    format!("sha256:{seed:064x}").replace("0000", "9e8c")
}

fn image_digest() -> String {
    Digest::of(MANIFEST).to_string()
}

fn commit(seed: i64) -> String {
    format!("{seed:040x}").replace("0000", "71d0")
}

fn octets(address: &str) -> Vec<u8> {
    let address: IpAddr = address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
    ::orchestrator::network::mapped(address).octets().to_vec()
}

impl Writer {
    fn id(&self) -> String {
        self.ids.uuid().to_string()
    }

    fn ago(&self, secs: u64) -> i64 {
        self.now.minus(Duration::from_secs(secs)).0
    }

    async fn write(self, conn: &mut Conn) -> Result<Sample, Error> {
        let hook = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
        execute!(
            conn,
            "INSERT INTO hook (id, project_id, provider, created_at) VALUES ($1, $2, 'github', $3)",
            hook,
            &self.project,
            self.ago(900 * HOUR)
        )?;
        self.workers(conn).await?;
        let delivery = self.delivery(conn, hook, 26 * HOUR, 1).await?;
        let first = self
            .run(conn, &delivery, 1, ("finished", Some("passed"), None))
            .await?;
        let unit = "unit: 3 of 208 tests failed, first export_keeps_order";
        for (number, state) in [
            (2, ("finished", Some("failed"), Some(unit))),
            (3, ("invalid", None, None)),
            (4, ("running", None, None)),
        ] {
            let ago = 25 * HOUR / u64::try_from(number).unwrap_or(1);
            let delivery = self.delivery(conn, hook, ago, number).await?;
            let run = self.run(conn, &delivery, number, state).await?;
            if number == 4 {
                self.step(conn, &run, "unit", "leased").await?;
            }
        }
        for n in 0..60 {
            let delivery = self.delivery(conn, hook, HOUR + n * 7_000, 0).await?;
            self.trigger(conn, &delivery, "skip", "paths-ignored", 0)
                .await?;
        }
        let (waiting, release) = self.released(conn, &first).await?;
        let project = Some(self.project.as_str());
        let one = (1_800, "203.0.113.77", 1);
        let refusal = self.refusal(conn, project, hook, one).await?;
        let folded = (3_000, "203.0.113.0", 1_204);
        self.refusal(conn, project, hook, folded).await?;
        let other = (2_000, "2001:db8::9", 1);
        let stranger = self.refusal(conn, None, hook, other).await?;
        Ok(Sample {
            project_id: self.project.clone(),
            waiting,
            release,
            delivery,
            refusal,
            stranger,
            rows: 66,
        })
    }

    async fn delivery(
        &self,
        conn: &mut Conn,
        hook: &str,
        ago: u64,
        number: i64,
    ) -> Result<String, Error> {
        let id = self.id();
        let headers = r#"[["content-type","application/json"],["x-github-event","push"],
            ["x-hub-signature-256","sha256=ab"],["authorization","(not kept)"]]"#;
        execute!(
            conn,
            "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                 body_digest, body_bytes, body, signature, secret_id, address, received_at, audit_id,
                 ref_name, commit_id, sender, consumed_at)
             VALUES ($1, $2, $3, 'github', $4, 'push', $5, $6, 18204, $7, 'hmac-sha256', 'gone', $8, $9,
                 $10, 'refs/heads/main', $11, 'lena-fischer', $9)",
            &id,
            hook,
            &self.project,
            self.id(),
            headers,
            digest(number + 7),
            &br#"{"ref":"refs/heads/main"}"#[..],
            octets("140.82.115.11"),
            self.ago(ago),
            self.id(),
            commit(number)
        )?;
        Ok(id)
    }

    async fn trigger(
        &self,
        conn: &mut Conn,
        delivery: &str,
        decision: &str,
        reason: &str,
        number: i64,
    ) -> Result<String, Error> {
        let id = self.id();
        execute!(
            conn,
            "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision, reason,
                 detail, trust, settings_version, decided_at, consumed_at)
             VALUES ($1, $2, $3, 'refs/heads/main', $4, $5, $6, 'a push to main', 'trusted', 1, $7, $7)",
            &id,
            delivery,
            &self.project,
            commit(number),
            decision,
            reason,
            self.ago(HOUR)
        )?;
        Ok(id)
    }

    /// A run with its build step and image; the id.
    async fn run(
        &self,
        conn: &mut Conn,
        delivery: &str,
        number: i64,
        (state, cause, detail): (&str, Option<&str>, Option<&str>),
    ) -> Result<String, Error> {
        let trigger = self
            .trigger(conn, delivery, "start", "push", number)
            .await?;
        let id = self.id();
        let ended = state != "running";
        execute!(
            conn,
            "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
                 commit_title, commit_time, author_name, author_email, committer_email, pusher_id, trust,
                 settings_version, pipeline_path, plan, complaints, state, cause, cause_detail,
                 created_at, started_at, finished_at)
             VALUES ($1, $2, $3, $4, 1, 'refs/heads/main', $5, 'Refuse refunds across currencies', 1,
                 'Lena Fischer', 'lena@shop.example', 'lena@shop.example', $6, 'trusted', 1,
                 '.sallyport.yml', $7, $8, $9, $10, $11, $12, $13, $14)",
            &id,
            &self.project,
            number,
            &trigger,
            commit(number),
            &self.author,
            (state != "invalid").then_some("{}"),
            (state == "invalid").then_some("[]"),
            state,
            cause,
            detail,
            self.ago(25 * HOUR / u64::try_from(number).unwrap_or(1)),
            (state != "invalid").then(|| self.ago(341)),
            ended.then(|| self.ago(20))
        )?;
        execute!(
            conn,
            "UPDATE project SET run_number = $1 WHERE id = $2",
            number,
            &self.project
        )?;
        Ok(id)
    }

    async fn step(
        &self,
        conn: &mut Conn,
        run: &str,
        name: &str,
        state: &str,
    ) -> Result<String, Error> {
        let id = self.id();
        let leased = state == "leased";
        execute!(
            conn,
            "INSERT INTO step (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, state, cause,
                 fence, attempts, not_before_at, worker_id, lease_ends_at, deadline_at, leased_at,
                 started_at, finished_at)
             VALUES ($1, $2, $3, $4, 'run', 0, '{}', 1, $5, $6, 1, 1, 1, $10, $7, $7, $8, $8, $9)",
            &id,
            run,
            &self.project,
            name,
            state,
            (!leased).then_some("passed"),
            leased.then(|| self.now.plus(Duration::from_secs(HOUR)).0),
            self.ago(341),
            (!leased).then(|| self.ago(20)),
            WORKER
        )?;
        Ok(id)
    }

    /// The first run's image, findings, release and promotions; the one that waits, and the release.
    async fn released(&self, conn: &mut Conn, run: &str) -> Result<(String, String), Error> {
        let step = self.step(conn, run, "image", "finished").await?;
        let (image, release) = (self.id(), self.id());
        let at = self.ago(24 * HOUR);
        execute!(
            conn,
            "INSERT INTO image (id, project_id, run_id, step_id, fence, name, repository, digest,
                 media_type, manifest, image_bytes, platforms, bases, observed_at)
             VALUES ($1, $2, $3, $4, 1, 'ledger', 'registry.example/quarantine/ledger-api/ledger', $5,
                 'application/vnd.oci.image.manifest.v1+json', $6, 48000000, '[\"linux/amd64\"]', '[]', $7)",
            &image,
            &self.project,
            run,
            &step,
            image_digest(),
            MANIFEST,
            at
        )?;
        for (purl, ecosystem, name) in [
            ("pkg:deb/debian/libssl3@3.0", "deb", "libssl3"),
            ("pkg:deb/debian/zlib1g@1.2", "deb", "zlib1g"),
            ("pkg:pypi/jinja2@3.1.2", "pypi", "jinja2"),
        ] {
            execute!(
                conn,
                "INSERT INTO package (image_id, purl, ecosystem, name, version, licences)
                 VALUES ($1, $2, $3, $4, '3.1.2', '')",
                &image,
                purl,
                ecosystem,
                name
            )?;
        }
        execute!(
            conn,
            "INSERT INTO sbom (image_id, step_id, digest, packages, stored_at, judged_at, advisories)
             VALUES ($1, $2, $3, 3, $4, $4, $5)",
            &image,
            &step,
            digest(3),
            at,
            &self.advisories
        )?;
        execute!(
            conn,
            "INSERT INTO finding_report (id, step_id, fence, tool, format, outcome, detail, read_at)
             VALUES ($1, $2, 1, 'syft', 'cyclonedx', 'read', '', $3)",
            self.id(),
            &step,
            at
        )?;
        self.findings(conn, run, &step, &image).await?;
        execute!(
            conn,
            "INSERT INTO release (id, project_id, run_id, digest, made_at) VALUES ($1, $2, $3, $4, $5)",
            &release,
            &self.project,
            run,
            Digest::of(format!("ledger {}\n", image_digest()).as_bytes()).to_string(),
            at
        )?;
        execute!(
            conn,
            "INSERT INTO release_image (release_id, name, image_id, digest)
             VALUES ($1, 'ledger', $2, $3)",
            &release,
            &image,
            image_digest()
        )?;
        self.commits(conn).await?;
        Ok((self.promotions(conn, &release).await?, release))
    }

    /// What the first release brings: twelve commits of its author, of one who maps to nobody, and of both.
    async fn commits(&self, conn: &mut Conn) -> Result<(), Error> {
        let titles = [
            "Refuse refunds across currencies",
            "Carry amounts as decimals",
            "Count again",
        ];
        let people = [
            ("Lena Fischer", "lena@shop.example"),
            ("Renovate", "bot@forge.example"),
        ];
        execute!(
            conn,
            "INSERT INTO contribution (project_id, base_id, head_id, commits, complete, read_at)
             VALUES ($1, '', $2, 12, 1, $3)",
            &self.project,
            commit(1),
            self.ago(20 * HOUR)
        )?;
        for (name, address) in people {
            execute!(
                conn,
                "INSERT INTO contributor (project_id, base_id, head_id, address, name, wrote, committed)
                 VALUES ($1, '', $2, $3, $4, 1, 1)",
                &self.project,
                commit(1),
                address,
                name
            )?;
        }
        for place in 0..12 {
            let of = usize::try_from(place).unwrap_or(0);
            let (title, author) = (titles[of % titles.len()], people[of % people.len()]);
            let committer = people[of / people.len() % people.len()];
            execute!(
                conn,
                "INSERT INTO contribution_commit (project_id, base_id, head_id, place, commit_id, title,
                     author_name, author_address, committer_name, committer_address, commit_time)
                 VALUES ($1, '', $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                &self.project,
                commit(1),
                place,
                commit(if place == 0 { 1 } else { 100 + place }),
                title,
                author.0,
                author.1,
                committer.0,
                committer.1,
                self.ago(30 * HOUR) / 1_000_000 - place * 4_000
            )?;
        }
        Ok(())
    }

    async fn findings(
        &self,
        conn: &mut Conn,
        run: &str,
        step: &str,
        image: &str,
    ) -> Result<(), Error> {
        let mut all = vec![
            ("osv", "PYSEC-2024-0009", "high", Some("jinja2")),
            ("osv", "GHSA-h75v-3vvj-5mfj", "medium", Some("jinja2")),
            ("hadolint", "DL3008", "low", None),
            ("gitleaks", "generic-api-key", "unknown", None),
        ];
        all.extend((0..52).map(|_| ("hadolint", "DL3059", "low", None)));
        for (n, (tool, rule, severity, package)) in all.into_iter().enumerate() {
            let line = i64::try_from(n).unwrap_or(0);
            execute!(
                conn,
                "INSERT INTO finding (id, project_id, run_id, step_id, fence, image_id, tool, rule,
                     severity, title, message, path, line, purl, package, package_version, fixed_in,
                     aliases, fingerprint, suppressed, found_at)
                 VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, 'A complaint in one line',
                     'What the tool said about it, at some length.', $9, $10, $11, $12, $13, $14, $15,
                     $16, 0, $17)",
                self.id(),
                &self.project,
                run,
                step,
                package.map(|_| image),
                tool,
                rule,
                severity,
                package.map_or(Some("Dockerfile"), |_| None),
                package.map_or(Some(line), |_| None),
                package.map(|name| format!("pkg:pypi/{name}@3.1.2")),
                package,
                package.map(|_| "3.1.2"),
                package.map(|_| "3.1.5"),
                if package.is_some() { "CVE-2024-56326" } else { "" },
                digest(line).replace("sha256:", ""),
                self.ago(48 * HOUR)
            )?;
        }
        Ok(())
    }

    async fn promotions(&self, conn: &mut Conn, release: &str) -> Result<String, Error> {
        let mut last = String::new();
        for (number, environment) in [(1, "dev"), (2, "staging"), (3, "prod")] {
            let id = self.id();
            let waits = environment == "prod";
            let decision = format!("decision-{number}");
            let at = self.ago(20 * HOUR);
            if !waits {
                execute!(
                    conn,
                    "INSERT INTO gate_decision (id, project_id, promotion_id, release_id, environment,
                         settings_version, outcome, conditions, evidence_digest, decision, decided_at)
                     VALUES ($1, $2, $3, $4, $5, 1, 'open', '[]', $6, '', $7)",
                    &decision,
                    &self.project,
                    &id,
                    release,
                    environment,
                    digest(5),
                    at
                )?;
            }
            execute!(
                conn,
                "INSERT INTO promotion (id, project_id, number, release_id, environment, settings_version,
                     state, requested_by, requester_id, requested_at, gate_decision_id, applying_at,
                     applied_at, ended_at)
                 VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $11, $11, $11)",
                &id,
                &self.project,
                number,
                release,
                environment,
                if waits { "waiting" } else { "applied" },
                if waits { "person(lena)" } else { "system" },
                waits.then_some(&self.author),
                at,
                (!waits).then_some(&decision),
                (!waits).then_some(at)
            )?;
            if !waits {
                execute!(
                    conn,
                    "INSERT INTO environment_release (project_id, environment, release_id, promotion_id,
                         since_at)
                     VALUES ($1, $2, $3, $4, $5)",
                    &self.project,
                    environment,
                    release,
                    &id,
                    at
                )?;
            }
            last = id;
        }
        execute!(
            conn,
            "UPDATE project SET promotion_number = 3 WHERE id = $1",
            &self.project
        )?;
        Ok(last)
    }

    async fn workers(&self, conn: &mut Conn) -> Result<(), Error> {
        let broken = RULES.replacen("true", "false", 1);
        let workers = [
            ("eu-w1", Some(RULES), None, None),
            ("eu-w2", Some(broken.as_str()), Some(self.ago(HOUR)), None),
            ("eu-w3", Some(RULES), None, Some(self.ago(90 * HOUR))),
            ("eu-w4", None, None, None),
        ];
        for (name, rules, drained, revoked) in workers {
            let id = if name == "eu-w1" {
                WORKER.to_owned()
            } else {
                self.id()
            };
            execute!(
                conn,
                "INSERT INTO worker (id, name, public, certificate_digest, version, level, isolation, slots,
                     enrolled_at, seen_at, drained_at, revoked_at)
                 VALUES ($1, $2, $3, $2, $4, $5, $6, $7, $8, $9, $10, $11)",
                &id,
                name,
                &b""[..],
                rules.map(|_| "0.1.0"),
                rules.map(|_| "docker-runc-userns"),
                rules,
                rules.map(|_| 2_i64),
                self.ago(900 * HOUR),
                rules.map(|_| self.ago(4)),
                drained,
                revoked
            )?;
        }
        for (ecosystem, records) in [("PyPI", 18_204_i64), ("crates.io", 1_211)] {
            execute!(
                conn,
                "INSERT INTO advisory_source (ecosystem, digest, records, content_at, confirmed_at)
                 VALUES ($1, $2, $3, $4, $4)",
                ecosystem,
                digest(6),
                records,
                self.ago(2 * HOUR)
            )?;
        }
        Ok(())
    }

    async fn refusal(
        &self,
        conn: &mut Conn,
        project: Option<&str>,
        hook: &str,
        (ago, address, requests): (u64, &str, i64),
    ) -> Result<String, Error> {
        let id = self.id();
        let alone = requests == 1;
        execute!(
            conn,
            "INSERT INTO refusal (id, hook_id, project_id, reason, event, external_id, body_digest,
                 body_bytes, address, received_at, requests, folded, audit_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            &id,
            project.map(|_| hook),
            project,
            if project.is_some() {
                "signature-wrong"
            } else {
                "unknown-hook"
            },
            alone.then_some("push"),
            alone.then(|| self.id()),
            alone.then(|| digest(11)),
            alone.then_some(812_i64),
            octets(address),
            self.ago(ago),
            requests,
            i64::from(!alone),
            self.id()
        )?;
        Ok(id)
    }
}
