//! The command line with a token: what people ask of a server from their own machine, and the exit codes
//! that are the answers.

use orchestrator::identity::{self, Actor, Role};
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::browser::Browser;
use tests::orchestrator::Orchestrator;
use tests::sample::{self, LEDGER};

/// Beside the folder in which this test's own program lies.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("sallyport")
}

/// What it says on either stream, and its exit code.
async fn says(url: &str, token: &Path, words: &[&str]) -> (String, i32) {
    let mut command = Command::new(program());
    command
        .args(words)
        .env("SALLYPORT_URL", url)
        .env("SALLYPORT_TOKEN_FILE", token);
    let done = tokio::task::spawn_blocking(move || command.output());
    let done = done.await.unwrap().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (
        String::from_utf8(said).unwrap(),
        done.status.code().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_runs_again_and_takes_a_request_back() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let ground = &house.app().ground;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(ground, &lena.person).await?;
    let made = identity::make_token(ground, &Actor::System, &lena.person, "laptop").await?;
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, made.secret.as_bytes())?;
    let url = house.url();
    let waiting = sample.waiting.as_str();
    let ask = async |words: &[&str]| says(&url, &token, words).await;

    let (said, code) = ask(&["run", "again", LEDGER, "1"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("asked for"), "{said}");

    let (said, code) = ask(&["promotion", "list", LEDGER]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("to prod waiting  {waiting}")),
        "{said}"
    );
    let (said, code) = ask(&["promotion", "show", waiting]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Soak: 20 h (wanted: at least 1 d)"), "{said}");

    let (said, code) = ask(&["promotion", "request", LEDGER, "prod", "--run", "1"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("error[already-requested]"), "{said}");
    let (said, code) = ask(&["promotion", "give-up", waiting, "--reason", "stuck"]).await;
    assert_eq!(code, 4, "only an administrator gives up: {said}");

    // An administrator made this token, so it is not sure that it speaks for her.
    let (said, code) = ask(&["promotion", "withdraw", waiting]).await;
    assert_eq!(code, 4, "{said}");
    let way = format!("/promotions/{waiting}/withdraw");
    assert_eq!(lena.send(&way, &[]).await?.status, 303);
    let (said, code) = ask(&["promotion", "wait", waiting]).await;
    assert_eq!(code, 1, "it was not applied: {said}");

    let (said, code) = ask(&["promotion", "request", LEDGER, "prod", "--run", "1"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("to prod requested  "), "{said}");
    let own = said.trim_end().rsplit(' ').next().unwrap();
    let (said, code) = ask(&["promotion", "withdraw", own]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("to prod void: "), "{said}");

    std::fs::write(&token, "nobody's")?;
    let (said, code) = ask(&["promotion", "show", waiting]).await;
    assert_eq!(code, 4, "{said}");
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_for_another_registry_are_refused_when_they_are_applied() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let ada = Browser::of(&house, "ada", &[(Role::Admin, None)]).await?;
    let ground = &house.app().ground;
    let made = identity::make_token(ground, &Actor::System, &ada.person, "laptop").await?;
    let folder = tempfile::tempdir()?;
    let (token, settings) = (folder.path().join("token"), folder.path().join("shop.yml"));
    std::fs::write(&token, made.secret.as_bytes())?;
    let own = "version: 1\nproject: bakery\nsource: { git: /srv/bakery.git }\nquarantine: registry.example/q\n";
    let apply = ["project", "apply", settings.to_str().unwrap()];

    std::fs::write(
        &settings,
        own.replace("registry.example", "elsewhere.example"),
    )?;
    let (said, code) = says(&house.url(), &token, &apply).await;
    assert_eq!(code, 1, "{said}");
    let wanted =
        "quarantine is in `elsewhere.example`; this server's registry is `registry.example`";
    assert!(said.contains(wanted), "{said}");

    std::fs::write(&settings, own)?;
    let (said, code) = says(&house.url(), &token, &apply).await;
    assert_eq!(
        (said.trim_end(), code),
        ("applied: bakery settings version 1", 0)
    );
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_gets_another_secret_and_is_switched_off() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let ada = Browser::of(&house, "ada", &[(Role::Admin, None)]).await?;
    let made =
        identity::make_token(&house.app().ground, &Actor::System, &ada.person, "laptop").await?;
    let folder = tempfile::tempdir()?;
    let (token, secret) = (folder.path().join("token"), folder.path().join("secret"));
    std::fs::write(&token, made.secret.as_bytes())?;
    std::fs::write(&secret, "another secret of theirs")?;
    let (url, file) = (house.url(), secret.to_str().unwrap());
    let ask = async |words: &[&str]| says(&url, &token, words).await;

    let add = [
        "hook",
        "add",
        "shop",
        "--provider",
        "github",
        "--secret-file",
        file,
    ];
    let (said, code) = ask(&add).await;
    assert_eq!(code, 0, "{said}");
    let hook = said.trim_end().rsplit('/').next().unwrap().to_owned();
    let (said, _) = ask(&["hook", "list", "shop"]).await;
    assert!(said.contains(&format!("{hook}  github  on")), "{said}");

    let rotate = ["hook", "rotate", "shop", &hook, "--secret-file", file];
    let (said, code) = ask(&rotate).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("good for 24 h more"), "{said}");
    let (said, code) = ask(&[&rotate[..], &["--keep-hours", "745"]].concat()).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("`keep_hours` is at most 744"), "{said}");

    let (said, code) = ask(&["hook", "disable", "shop", &hook]).await;
    assert_eq!(code, 0, "{said}");
    let (said, _) = ask(&["hook", "list", "shop"]).await;
    assert!(said.contains(&format!("{hook}  github  off")), "{said}");
    let (said, code) = ask(&rotate).await;
    assert_eq!(code, 1, "what is off gets no secret: {said}");

    // A token without an address would be passed over, and another one act in its owner's place.
    let mut nowhere = Command::new(program());
    nowhere
        .args(["hook", "list", "shop"])
        .env("SALLYPORT_TOKEN_FILE", &token);
    let said = nowhere.output()?;
    let words = String::from_utf8(said.stderr)?;
    assert!(words.contains("SALLYPORT_URL has to say where"), "{words}");
    assert_eq!(said.status.code(), Some(3));
    let (said, code) = says(&format!("{url}/"), &token, &["hook", "list", "shop"]).await;
    assert_eq!(code, 0, "a slash at the end of the address: {said}");
    house.stop().await;
    Ok(())
}
