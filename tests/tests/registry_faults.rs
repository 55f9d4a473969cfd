//! A registry that lies, is down, slow or full: what it says wrongly is refused, what it cannot do now
//! is done when it can, and nothing is green or promoted meanwhile.

use std::time::{Duration, Instant};
use tests::database::{Database, Look};
use tests::fault::{Fault, FaultyRegistry};
use tests::house::{House, Ports, free_port};
use tests::ready_made::Image;
use tests::registry::Registry;
use tests::running::Running;
use tests::script::{LeftAlone, Tend, Turn};
use tests::story::{Standing, Story};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A house at work, with a proxy before its registry or none.
struct Stage {
    /// Its folder goes with it.
    _house: House,
    registry: Registry,
    proxy: Option<FaultyRegistry>,
    running: Running,
    story: Story,
    look: Look,
}

impl Stage {
    async fn with_its_own_registry() -> Self {
        let house = House::furnish(Database::Sqlite, Ports::free().unwrap());
        let house = house.await.unwrap();
        let registry = Registry::start(&house).unwrap();
        Self::set(house, registry, None).await
    }

    async fn behind_a_proxy() -> Self {
        let house = House::furnish(Database::Sqlite, Ports::free().unwrap());
        let house = house.await.unwrap();
        let upstream = free_port().unwrap();
        let registry = Registry::start_at(&house, upstream).unwrap();
        let proxy = FaultyRegistry::start(house.ports.registry, upstream);
        let proxy = proxy.await.unwrap();
        Self::set(house, registry, Some(proxy)).await
    }

    async fn set(house: House, registry: Registry, proxy: Option<FaultyRegistry>) -> Self {
        // A registry that is slow is not waited for as long as in earnest.
        let text = std::fs::read_to_string(house.config()).unwrap();
        let text = text.replace("plain-http = true", "plain-http = true\ntimeout-secs = 1");
        std::fs::write(house.config(), text).unwrap();
        let running = Running::start(&house).await.unwrap();
        let script = running.script(&house).await.unwrap();
        let story = Story::new(&house, script).unwrap();
        let look = house.database.look(&house.server()).await.unwrap();
        Self {
            _house: house,
            registry,
            proxy,
            running,
            story,
            look,
        }
    }

    fn registry_is(&self, fault: Fault) {
        self.proxy.as_ref().unwrap().is(fault);
    }

    fn harmed(&self) -> u64 {
        self.proxy.as_ref().unwrap().harmed()
    }

    async fn standing(&mut self) -> Standing {
        Standing::read(&mut self.look).await.unwrap()
    }

    /// The only column of a SELECT.
    async fn texts(&mut self, column: &str, from: &str) -> Vec<String> {
        let column = self.look.array(&[(column, false)]);
        let sql = format!("SELECT {column} FROM {from}");
        let rows = self.look.rows(&sql).await.unwrap();
        rows.into_iter().flatten().flatten().collect()
    }

    /// Works until a state is reached, and does nothing else.
    async fn works_until(&mut self, what: &str, reached: impl Fn(&Standing) -> bool) -> Standing {
        let until = Instant::now() + PATIENCE;
        loop {
            let standing = self.standing().await;
            if reached(&standing) {
                return standing;
            }
            assert!(Instant::now() < until, "{what}: {standing:?}");
            if standing.run_is_over() {
                tokio::time::sleep(LOOK).await;
            } else {
                self.story.script.turn(&mut LeftAlone, 100).await.unwrap();
            }
        }
    }

    /// Lets everybody act until prod holds the release.
    async fn goes_on_to_the_end(&mut self) {
        let played = self.story.play(&mut LeftAlone, &mut self.look).await;
        played.unwrap();
        let holds = self.registry.holds().unwrap();
        let image = Image::ready_made().digest();
        assert_eq!(holds.tags["prod/shop/web:current"], image);
        assert_eq!(holds.signatures("prod/shop/web", &image).unwrap(), 1);
    }

    /// Everything up to staging, then one person requests prod and another approves.
    async fn approved_for_prod_while(&mut self, fault: impl FnOnce(&mut Self)) {
        self.story.pushes(&mut LeftAlone).await.unwrap();
        let in_staging =
            |standing: &Standing| matches!(standing.promotion("staging"), Some(("applied", _)));
        self.works_until("staging", in_staging).await;
        fault(self);
        let until = Instant::now() + PATIENCE;
        while !self.standing().await.answered {
            assert!(Instant::now() < until, "nobody approved");
            self.story.people_act(&mut self.look).await.unwrap();
        }
    }

    /// Waits until a promotion says what hinders it; it has not ended, and no tag shows it.
    async fn prod_is_hindered_by(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let progress = self.texts("progress", "promotion WHERE environment = 'prod'");
            let progress = progress.await.join("");
            if progress.contains("registry") && progress.contains(words) {
                break;
            }
            assert!(Instant::now() < until, "prod says {progress:?}");
            tokio::time::sleep(LOOK).await;
        }
        let standing = self.standing().await;
        assert_eq!(standing.promotion("prod").unwrap().0, "applying");
        let holds = self.registry.holds().unwrap();
        assert!(!holds.tags.contains_key("prod/shop/web:current"));
        assert!(!holds.tags.contains_key("prod/shop/web:run-1"));
    }

    async fn nothing_is_green(&mut self) {
        for table in ["release", "attestation", "signature", "promotion"] {
            assert_eq!(self.texts("id", table).await, [""; 0], "{table}");
        }
        assert_eq!(self.registry.holds().unwrap().tags.len(), 0);
    }
}

async fn a_lie_is_refused(fault: Fault) {
    let mut stage = Stage::behind_a_proxy().await;
    stage.registry_is(fault);
    stage.story.pushes(&mut LeftAlone).await.unwrap();
    let standing = stage.works_until("the run", Standing::run_is_over).await;
    let (state, cause) = standing.run.unwrap();
    assert_eq!(
        (state.as_str(), cause.as_deref()),
        ("finished", Some("incomplete"))
    );
    let detail = stage.texts("cause_detail", "step WHERE name = 'web'").await;
    assert!(
        detail[0].starts_with("image: mismatch: registry: "),
        "{detail:?}"
    );
    assert_eq!(stage.texts("reason", "image_refusal").await, ["mismatch"]);
    assert!(stage.harmed() > 0);
    stage.nothing_is_green().await;
    stage.running.stop().await;
}

#[tokio::test]
async fn an_image_under_another_digest_in_the_header_is_refused() {
    a_lie_is_refused(Fault::OtherDigestHeader).await;
}

#[tokio::test]
async fn an_image_of_other_bytes_is_refused() {
    a_lie_is_refused(Fault::OtherBytes).await;
}

#[tokio::test]
async fn a_registry_that_lies_while_promoting_fails_the_promotion() {
    let mut stage = Stage::behind_a_proxy().await;
    let lies = |stage: &mut Stage| stage.registry_is(Fault::OtherBytes);
    stage.approved_for_prod_while(lies).await;
    let failed = |standing: &Standing| matches!(standing.promotion("prod"), Some(("failed", _)));
    stage.works_until("prod", failed).await;
    let cause = stage
        .texts("cause", "promotion WHERE environment = 'prod'")
        .await;
    assert!(cause[0].contains("the bytes are"), "{cause:?}");
    let holds = stage.registry.holds().unwrap();
    assert!(!holds.tags.contains_key("prod/shop/web:current"));
    stage.running.stop().await;
}

/// Takes the registry away when it holds the image, right before the build is reported.
struct GoesAfterThePush<'r>(&'r mut Registry, bool);

impl Tend for GoesAfterThePush<'_> {
    fn tend(&mut self) -> anyhow::Result<()> {
        if !self.1 && !self.0.holds()?.manifests.is_empty() {
            self.0.goes()?;
            self.1 = true;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_build_whose_registry_stays_away_ends_as_infrastructure_after_bounded_tries() {
    let mut stage = Stage::with_its_own_registry().await;
    stage.story.pushes(&mut LeftAlone).await.unwrap();
    let until = Instant::now() + PATIENCE;
    let mut tend = GoesAfterThePush(&mut stage.registry, false);
    loop {
        let standing = Standing::read(&mut stage.look).await.unwrap();
        if standing.run_is_over() {
            assert_eq!(standing.run.unwrap().1.as_deref(), Some("infrastructure"));
            break;
        }
        assert!(Instant::now() < until, "{standing:?}");
        let turn = stage.story.script.turn(&mut tend, 100).await.unwrap();
        if turn == Turn::Nothing && tend.1 {
            // Nobody holds a lease: what waits is the registry's time and the pause before a retry.
            stage.running.clock.moves(Duration::from_secs(30));
            stage.running.app.bells.image.ring();
            stage.running.app.bells.step.ring();
        }
    }
    let leases = "lease l JOIN step s ON s.id = l.step_id WHERE s.name = 'web' ORDER BY l.fence";
    assert_eq!(stage.texts("l.cause", leases).await, ["infrastructure"; 4]);
    // The first try ended when looking at the image took too long, the others when pushing it.
    let details = stage.texts("l.cause_detail", leases).await;
    assert!(details[0].contains("Connection refused"), "{details:?}");
    assert!(details[0].starts_with("registry: "), "{details:?}");
    assert_eq!(details[1..], ["registry: no answer"; 3]);
    stage.nothing_is_green().await;
    stage.running.stop().await;
}

#[tokio::test]
async fn a_build_whose_registry_is_full_ends_as_infrastructure_after_bounded_tries() {
    let mut stage = Stage::behind_a_proxy().await;
    stage.registry_is(Fault::Full);
    stage.story.pushes(&mut LeftAlone).await.unwrap();
    let until = Instant::now() + PATIENCE;
    while !stage.standing().await.run_is_over() {
        assert!(Instant::now() < until, "the run does not end");
        if stage.story.script.turn(&mut LeftAlone, 100).await.unwrap() == Turn::Nothing {
            stage.running.clock.moves(Duration::from_secs(5));
        }
    }
    let detail = stage.texts("cause || ': ' || cause_detail", "step WHERE name = 'web'");
    let wanted = "infrastructure: registry: begin: 507 Insufficient Storage";
    assert_eq!(detail.await, [wanted]);
    assert_eq!(
        stage.texts("attempts", "step WHERE name = 'web'").await,
        ["4"]
    );
    stage.nothing_is_green().await;
    stage.running.stop().await;
}

#[tokio::test]
async fn an_image_is_observed_when_a_slow_registry_is_itself_again() {
    let mut stage = Stage::behind_a_proxy().await;
    stage.story.pushes(&mut LeftAlone).await.unwrap();
    struct SlowAfterThePush<'r>(&'r Registry, &'r FaultyRegistry, bool);
    impl Tend for SlowAfterThePush<'_> {
        fn tend(&mut self) -> anyhow::Result<()> {
            if !self.2 && !self.0.holds()?.manifests.is_empty() {
                self.1.is(Fault::Slow);
                self.2 = true;
            }
            Ok(())
        }
    }
    let until = Instant::now() + PATIENCE;
    let proxy = stage.proxy.as_ref().unwrap();
    let mut tend = SlowAfterThePush(&stage.registry, proxy, false);
    // Two looks that time out.
    while proxy.harmed() < 2 {
        assert!(Instant::now() < until, "nobody looks at the image");
        let turn = stage.story.script.turn(&mut tend, 100).await.unwrap();
        if turn == Turn::Nothing {
            stage.running.app.bells.image.ring();
        }
    }
    assert_eq!(stage.texts("id", "image").await, [""; 0]);
    stage.registry_is(Fault::None);
    stage.goes_on_to_the_end().await;
    assert_eq!(
        stage.texts("attempts", "step WHERE name = 'web'").await,
        ["1"]
    );
    stage.running.stop().await;
}

#[tokio::test]
async fn attestations_are_published_when_the_registry_is_back() {
    let mut stage = Stage::with_its_own_registry().await;
    stage.story.pushes(&mut LeftAlone).await.unwrap();
    let until = Instant::now() + PATIENCE;
    while stage.texts("id", "image").await.is_empty() {
        assert!(Instant::now() < until, "no image was observed");
        stage.story.script.turn(&mut LeftAlone, 100).await.unwrap();
    }
    stage.registry.goes().unwrap();
    stage.works_until("the run", Standing::run_is_over).await;
    while stage.texts("state", "attestation").await != ["signed", "signed"] {
        assert!(Instant::now() < until, "nothing was signed");
        tokio::time::sleep(LOOK).await;
    }
    let entered = |state: &str| matches!(state, "applying" | "applied");
    let standing = stage.standing().await;
    assert!(
        !standing
            .promotions
            .iter()
            .any(|(_, state, _)| entered(state))
    );
    stage.registry.returns().unwrap();
    stage.goes_on_to_the_end().await;
    assert_eq!(stage.texts("state", "attestation").await, ["published"; 2]);
    stage.running.stop().await;
}

#[tokio::test]
async fn a_promotion_completes_by_itself_when_the_registry_is_back() {
    let mut stage = Stage::with_its_own_registry().await;
    let goes = |stage: &mut Stage| stage.registry.goes().unwrap();
    stage.approved_for_prod_while(goes).await;
    stage.prod_is_hindered_by("no answer").await;
    stage.registry.returns().unwrap();
    stage.goes_on_to_the_end().await;
    stage.running.stop().await;
}

#[tokio::test]
async fn a_promotion_completes_by_itself_when_the_registry_has_room_again() {
    let mut stage = Stage::behind_a_proxy().await;
    let full = |stage: &mut Stage| stage.registry_is(Fault::Full);
    stage.approved_for_prod_while(full).await;
    stage.prod_is_hindered_by("status 507").await;
    stage.registry_is(Fault::None);
    stage.goes_on_to_the_end().await;
    stage.running.stop().await;
}

#[tokio::test]
async fn a_promotion_completes_by_itself_when_a_slow_registry_is_itself_again() {
    let mut stage = Stage::behind_a_proxy().await;
    let slow = |stage: &mut Stage| stage.registry_is(Fault::Slow);
    stage.approved_for_prod_while(slow).await;
    stage.prod_is_hindered_by("no answer").await;
    stage.registry_is(Fault::None);
    stage.goes_on_to_the_end().await;
    stage.running.stop().await;
}
