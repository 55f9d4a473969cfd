//! Stories of the room with a real signer behind its socket and a real registry.

use super::{Hands, Missing, State, attestations_of_image, pass, signatures_of_image, verify};
use crate::blob::Blobs;
use crate::clock::SystemClock;
use crate::config;
use crate::db::{Db, Error};
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::image::{self, Image, ImageId};
use crate::lifecycle::Tasks;
use crate::reconcile::Progress;
use crate::registry::{Issuer, Registry, Tag};
use crate::signing::{self, Signer, SignerClient, SignerConfig};
use contract::digest::Digest;
use contract::image::Repository;
use evidence::{cosign, names, oci};
use p256::ecdsa::SigningKey;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SBOM: &[u8] = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#;
const IMAGE: &str = "01990000-0000-7000-8000-00000000000a";
const PATIENCE: Duration = Duration::from_secs(20);

/// Debian's docker-registry on a port and folder of its own; killed with the value.
pub(crate) struct RealRegistry {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl RealRegistry {
    pub(crate) fn start(folder: &std::path::Path, port: u16) -> Self {
        let file = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: \"{}\" }} }}\n\
             http: {{ addr: \"127.0.0.1:{port}\", secret: s }}\n",
            folder.join("registry").display()
        );
        std::fs::write(&file, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed (apt-get install docker-registry)");
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A finished run with one image in the registry, and everything around it.
struct House {
    ground: Ground,
    folder: tempfile::TempDir,
    running: Option<RealRegistry>,
    registry: Registry,
    signer: SignerClient,
    blobs: Blobs,
    tasks: Tasks,
}

impl Drop for House {
    fn drop(&mut self) {
        self.tasks.stop().cancel();
    }
}

impl House {
    async fn new(db: &Db) -> Self {
        // What a pass could not do is only logged.
        let log = tracing_subscriber::fmt().with_test_writer().try_init();
        drop(log);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let ids = Arc::new(SystemIds::new(clock.clone()));
        let ground = Ground {
            db: db.clone(),
            clock,
            ids,
        };
        let running = RealRegistry::start(folder.path(), free_port());
        let name = format!("127.0.0.1:{}", running.port);
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let issuer = Arc::new(Issuer::new(key, "instance", &name).unwrap());
        let config = config::Registry {
            name,
            plain_http: true,
            ca_file: None,
            timeout_secs: 30,
        };
        let registry = Registry::new(&config, issuer, ground.clone()).unwrap();
        let blobs = Blobs::new(&folder.path().join("blobs"));
        let tasks = Tasks::default();
        let signer = start_signer(&ground, folder.path(), &tasks).await;
        let house = Self {
            ground,
            folder,
            running: Some(running),
            registry,
            signer,
            blobs,
            tasks,
        };
        house.make_run().await;
        house
    }

    fn hands(&self) -> Hands<'_> {
        Hands {
            signer: &self.signer,
            registry: &self.registry,
            blobs: &self.blobs,
            public_url: "http://localhost:7420",
        }
    }

    async fn passes(&self) -> Progress {
        pass(&self.ground, &self.hands()).await.unwrap()
    }

    async fn image(&self) -> Image {
        let id = ImageId::parse(IMAGE).unwrap();
        let mut conn = self.ground.db.reader().await.unwrap();
        image::image(&mut conn, &id).await.unwrap().unwrap()
    }

    async fn missing(&self) -> Vec<Missing> {
        let image = self.image().await;
        let mut conn = self.ground.db.reader().await.unwrap();
        verify(&mut conn, &image).await.unwrap()
    }

    async fn states(&self) -> Vec<State> {
        let id = ImageId::parse(IMAGE).unwrap();
        let mut conn = self.ground.db.reader().await.unwrap();
        let attestations = attestations_of_image(&mut conn, &id).await.unwrap();
        let signatures = signatures_of_image(&mut conn, &id).await.unwrap();
        let states = attestations.into_iter().map(|a| a.state);
        states
            .chain(signatures.into_iter().map(|s| s.state))
            .collect()
    }

    fn repository(&self, place: &str) -> Repository {
        Repository::parse(&format!("{}/{place}/shop/web", self.registry.name())).unwrap()
    }

    async fn tagged(&self, repository: &Repository, tag: &str) -> Option<Vec<u8>> {
        let tag = Tag::parse(tag).unwrap();
        let found = self.registry.manifest_of_tag(repository, &tag).await;
        found.unwrap().map(|manifest| manifest.bytes)
    }

    fn registry_goes(&mut self) -> u16 {
        self.running.take().unwrap().port
    }

    fn registry_returns(&mut self, port: u16) {
        self.running = Some(RealRegistry::start(self.folder.path(), port));
    }

    /// Pushes an image and writes all rows up to its release.
    async fn make_run(&self) {
        let repository = self.repository("quarantine");
        let config = br#"{"os":"linux","architecture":"amd64"}"#.to_vec();
        let config_digest = self
            .registry
            .put_blob(&repository, config.clone())
            .await
            .unwrap();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{config_digest}","size":{}}},"layers":[]}}"#,
            oci::IMAGE_MANIFEST,
            oci::IMAGE_CONFIG,
            config.len()
        );
        self.registry
            .put_manifest(&repository, None, oci::IMAGE_MANIFEST, manifest.as_bytes())
            .await
            .unwrap();
        let sbom = self.blobs.put(SBOM.to_vec()).await.unwrap();
        let settings = include_str!("../../../xtask/demo-settings.yml")
            .replace("@REGISTRY@", self.registry.name())
            .replace("@REPOSITORY@", "https://forge.example/shop.git");
        let (manifest, repository) = (manifest.into_bytes(), repository.to_string());
        let base = format!(
            "{}/base/python@{}",
            self.registry.name(),
            Digest::of(b"base")
        );
        let write = self.ground.db.write("test.run", move |conn| {
            Box::pin(async move {
                rows::project(conn, settings.as_bytes()).await?;
                rows::run(conn, &base).await?;
                rows::image(conn, &repository, &manifest, &base).await?;
                rows::release(conn, &manifest, &sbom).await
            })
        });
        write.await.unwrap();
    }
}

pub(crate) async fn start_signer(
    ground: &Ground,
    folder: &std::path::Path,
    tasks: &Tasks,
) -> SignerClient {
    let text = format!(
        "[signer]\nsocket = \"{0}/socket\"\ndata-dir = \"{0}/signer\"\nserver-uid = {1}\n\
         [master-key]\nfile = \"{0}/master.key\"\n",
        folder.display(),
        nix::unistd::geteuid()
    );
    let config: SignerConfig = toml::from_str(&text).unwrap();
    let keys = signing::init(&config, &*ground.ids).unwrap();
    let signer = Signer::open(&config, ground.clock.clone()).unwrap();
    signing::serve(&config, Arc::new(signer), tasks)
        .await
        .unwrap();
    let write = ground.db.write("test.keys", move |conn| {
        let keys = keys.clone();
        Box::pin(async move {
            for key in keys {
                crate::execute!(
                    conn,
                    "INSERT INTO key (id, role, public, from_at) VALUES ($1, $2, $3, 1)",
                    &key.id,
                    key.role.as_str(),
                    key.spki().unwrap()
                )?;
            }
            Ok::<(), Error>(())
        })
    });
    write.await.unwrap();
    SignerClient::new(&config::Signer {
        socket: config.signer.socket,
        uid: nix::unistd::geteuid().as_raw(),
    })
}

crate::store_tests! {
    fn an_image_of_a_release_is_stated_signed_and_attached(db: Db) {
        let house = House::new(&db).await;
        assert_eq!(house.missing().await, [Missing::Provenance, Missing::Signature]);
        assert_eq!(house.passes().await, Progress::Moved);
        assert_eq!(house.missing().await, []);

        let (image, quarantine) = (house.image().await, house.repository("quarantine"));
        let index = house.tagged(&quarantine, &oci::referrers_tag(&image.digest)).await.unwrap();
        let attached: Vec<String> = oci::referrers(&index).unwrap().into_iter()
            .map(|referrer| referrer.annotations[oci::PREDICATE_ANNOTATION].clone()).collect();
        assert_eq!(attached, [names::SLSA_PROVENANCE, names::CYCLONEDX]);
        let signature = house.tagged(&quarantine, &cosign::signature_tag(&image.digest)).await.unwrap();
        assert!(String::from_utf8(signature.clone()).unwrap().contains(names::SIMPLE_SIGNING));

        assert_eq!(house.passes().await, Progress::Idle, "nothing is done twice");
        let again = house.tagged(&quarantine, &cosign::signature_tag(&image.digest)).await.unwrap();
        assert_eq!(again, signature, "one signature a reference");
    }

    fn the_provenance_says_what_is_known(db: Db) {
        let house = House::new(&db).await;
        house.passes().await;
        let id = ImageId::parse(IMAGE).unwrap();
        let mut conn = house.ground.db.reader().await.unwrap();
        let attestations = attestations_of_image(&mut conn, &id).await.unwrap();
        let text = String::from_utf8(attestations[0].statement.clone()).unwrap();
        let text = text.replace(house.registry.name(), "REGISTRY");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let predicate = &value["predicate"];
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&predicate["buildDefinition"]["externalParameters"]).unwrap(),
            @r#"
        {
          "path": ".sallyport.yml",
          "ref": "refs/heads/main",
          "repository": "https://forge.example/shop.git"
        }
        "#
        );
        let named: Vec<&str> = predicate["buildDefinition"]["resolvedDependencies"].as_array().unwrap()
            .iter().map(|d| d["name"].as_str().unwrap_or("commit")).collect();
        assert_eq!(named, ["commit", "source", "pipeline", "base", "step/unit/image"]);
        assert_eq!(predicate["buildDefinition"]["internalParameters"]["hermetic"], true);
        let builder = &predicate["runDetails"]["builder"]["id"];
        // The worker claims user namespaces as well, which nobody granted it.
        assert_eq!(builder, "http://localhost:7420/builders/docker-runc@v1");
        let byproducts = predicate["runDetails"]["byproducts"].as_array().unwrap();
        assert_eq!(byproducts[1]["name"], "log/web");
        assert_eq!(byproducts[1]["digest"]["sha256"], Digest::of(b"log").hex());
    }

    fn what_was_signed_while_the_registry_was_away_is_published_when_it_is_back(db: Db) {
        let mut house = House::new(&db).await;
        let port = house.registry_goes();
        house.passes().await;
        let before = house.states().await;
        let [State::Signed(_), State::Signed(_), State::Intended] = before.as_slice() else {
            panic!("two statements are signed, the image waits for them: {before:?}");
        };
        assert_eq!(house.missing().await, [Missing::Provenance, Missing::Signature]);
        house.registry_returns(port);
        assert_eq!(house.passes().await, Progress::Moved);
        let after = house.states().await;
        for (before, after) in before.iter().zip(&after).take(2) {
            assert_eq!(before.signed(), after.signed(), "the same bytes");
        }
        assert_eq!(house.missing().await, []);
    }

}

/// The rows that stand before this room's.
mod rows {
    use super::{Digest, Error, IMAGE, oci};
    use crate::db::Conn;

    pub(super) async fn project(conn: &mut Conn, settings: &[u8]) -> Result<(), Error> {
        crate::execute!(
            conn,
            "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
             VALUES ('p', 'shop', 1, 1, 1, 0)"
        )?;
        crate::execute!(
            conn,
            "INSERT INTO project_settings (project_id, version, document, digest, applied_at, applied_by)
             VALUES ('p', 1, $1, 'x', 1, 'x')",
            settings.to_vec()
        )?;
        crate::execute!(
            conn,
            "INSERT INTO hook (id, project_id, provider, created_at) VALUES ('h', 'p', 'git', 1)"
        )?;
        crate::execute!(
            conn,
            "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                 body_digest, body_bytes, signature, secret_id, address, received_at, audit_id)
             VALUES ('d', 'h', 'p', 'git', 'x', 'push', '{}', 'sha256:', 0, '', 's', $1, 1, 'a')",
            vec![0_u8; 16]
        )?;
        crate::execute!(
            conn,
            "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision, reason,
                 detail, trust, settings_version, decided_at)
             VALUES ('t', 'd', 'p', 'refs/heads/main', 'c', 'start', 'push', '', 'trusted', 1, 1)"
        )?;
        Ok(())
    }

    pub(super) async fn run(conn: &mut Conn, base: &str) -> Result<(), Error> {
        let resources = r#"{"cpu_milli":1,"memory_bytes":1,"pids":1,"work_bytes":1}"#;
        let step = |name: &str, work: String| {
            format!(
                r#"{{"name":"{name}","needs":[],"work":{work},"env":{{}},"resources":{resources},"timeout_ms":1,"artifacts":[],"junit":[],"effects_outside":false}}"#
            )
        };
        let unit = format!(r#"{{"kind":"run","image":"{base}","command":["true"]}}"#);
        let plan = format!(
            r#"{{"v":1,"parallel_steps":1,"steps":[{}]}}"#,
            step("unit", unit)
        );
        crate::execute!(
            conn,
            "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
                 commit_title, commit_time, author_name, author_email, committer_email, trust,
                 settings_version, pipeline_path, pipeline_digest, plan, source_digest, source_bytes,
                 state, cause, created_at, finished_at)
             VALUES ('r', 'p', 1, 't', 1, 'refs/heads/main', 'c', 'one', 1, 'n', 'e', 'e', 'trusted',
                 1, '.sallyport.yml', $1, $2, $1, 1, 'finished', 'passed', 1, 9)",
            Digest::of(b"file").to_string(),
            plan
        )?;
        crate::execute!(
            conn,
            "INSERT INTO worker (id, name, public, certificate_digest, enrolled_at, granted_level)
             VALUES ('w', 'w', $1, 'x', 1, 'docker-runc')",
            vec![1_u8]
        )?;
        crate::execute!(
            conn,
            "INSERT INTO step (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, parallel_max,
                 state, cause, fence, attempts, not_before_at, worker_id, leased_at, finished_at)
             VALUES ('web', 'r', 'p', 'web', 'build', 0, '{}', 1, 1, 'finished', 'passed', 1, 1, 0, 'w', 2, 8)"
        )?;
        crate::execute!(
            conn,
            "INSERT INTO log_chunk (step_id, fence, sequence, at_offset, bytes, sha256, received_at)
             VALUES ('web', 1, 0, 0, 3, $1, 1)",
            Digest::of(b"log").hex()
        )?;
        let report = format!(
            r#"{{"step_id":"web","fence":1,"outcome":{{"kind":"passed"}},
                "log":{{"chunks":1,"bytes":3,"sha256":"{}","dropped_bytes":0}},"artifacts":[],"images":[],
                "tools":[],"isolation":{{"level":"docker-runc-userns","rules":[]}},
                "times":{{"claimed_at":1,"started_at":null,"first_output_at":null,"ended_at":2}},
                "network":false,"complaints":[]}}"#,
            Digest::of(b"log")
        );
        crate::execute!(
            conn,
            "INSERT INTO report (step_id, fence, envelope, payload, received_at)
             VALUES ('web', 1, $1, $2, 1)",
            vec![0_u8],
            report
        )?;
        Ok(())
    }

    pub(super) async fn image(
        conn: &mut Conn,
        repository: &str,
        manifest: &[u8],
        base: &str,
    ) -> Result<(), Error> {
        crate::execute!(
            conn,
            "INSERT INTO image (id, project_id, run_id, step_id, fence, name, repository, digest,
                 media_type, manifest, image_bytes, platforms, bases, observed_at)
             VALUES ($1, 'p', 'r', 'web', 1, 'web', $2, $3, $4, $5, 1, '[]', $6, 1)",
            IMAGE,
            repository,
            Digest::of(manifest).to_string(),
            oci::IMAGE_MANIFEST,
            manifest.to_vec(),
            format!(r#"["{base}"]"#)
        )?;
        Ok(())
    }

    pub(super) async fn release(
        conn: &mut Conn,
        manifest: &[u8],
        sbom: &Digest,
    ) -> Result<(), Error> {
        crate::execute!(
            conn,
            "INSERT INTO release (id, project_id, run_id, digest, made_at)
             VALUES ('rel', 'p', 'r', 'sha256:2', 1)"
        )?;
        crate::execute!(
            conn,
            "INSERT INTO release_image (release_id, name, image_id, digest)
             VALUES ('rel', 'web', $1, $2)",
            IMAGE,
            Digest::of(manifest).to_string()
        )?;
        crate::execute!(
            conn,
            "INSERT INTO sbom (image_id, step_id, digest, packages, stored_at)
             VALUES ($1, 'web', $2, 0, 1)",
            IMAGE,
            sbom.to_string()
        )?;
        Ok(())
    }
}
