//! Stories of a run's page: what a person sees of it, and what they may do with it.

use contract::digest::Digest;
use contract::protocol::{ArtifactClaim, Outcome};
use orchestrator::run::Cause;
use tests::orchestrator::Orchestrator;
use tests::worker::{Log, enrol, report};

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
  more:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
    needs: [unit]
";
const RUN: &str = "/projects/shop/runs/1";

#[tokio::test]
async fn a_run_shows_why_it_started_what_failed_and_what_came_out_of_it() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    let visitor = server.visitor().await.unwrap();
    let live = visitor.page(RUN).await.unwrap();
    assert!(live.contains("data-refresh") && live.contains("Sell more") && live.contains("Mara"));
    assert!(
        live.contains("/deliveries/") && live.contains("Cancel run") && !live.contains("Run again")
    );

    let (mut log, file) = (Log::default(), b"<script>alert(1)</script>");
    worker.prints(&job, &mut log, "no\n").await.unwrap();
    worker
        .uploads(&job, 0, "files/page.html", file)
        .await
        .unwrap();
    let failed = Outcome::Failed {
        reason: "exit code 3".to_owned(),
        exit_code: Some(3),
    };
    let mut report = report(&job, &log, failed);
    report.artifacts = vec![ArtifactClaim {
        name: "files/page.html".to_owned(),
        digest: Digest::of(file),
        bytes: 25,
    }];
    worker.sends(&job, &report).await.unwrap();
    assert!(matches!(
        server.ended(1).await.unwrap(),
        Cause::Failed { .. }
    ));
    let over = visitor.page(RUN).await.unwrap();
    assert!(
        !over.contains("data-refresh")
            && over.contains("Run again")
            && !over.contains("Cancel run")
    );
    assert!(over.contains("exit code 3") && over.contains("It needs unit, which did not pass"));
    assert!(
        over.find("exit code 3") < over.find("It needs unit"),
        "what failed comes first"
    );
    assert!(
        !over.contains("style=") && !over.contains("onclick"),
        "the CSP allows nothing inline"
    );

    let link = over
        .split("/artifacts/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let kept = visitor
        .get(&format!("{RUN}/artifacts/{link}"))
        .await
        .unwrap();
    assert_eq!(
        kept.headers()["content-disposition"],
        "attachment; filename=\"page.html\""
    );
    assert_eq!(kept.headers()["content-type"], "application/octet-stream");
    assert_eq!(kept.headers()["x-content-type-options"], "nosniff");
    assert_eq!(kept.bytes().await.unwrap().as_ref(), file);
    let other = visitor
        .get(&format!("/projects/shop/runs/2/artifacts/{link}"))
        .await
        .unwrap();
    assert_eq!(other.status(), 404);

    let to = format!("{RUN}/again");
    let foreign = visitor
        .send("/projects/shop/runs/1", &to, &[("csrf", "x")])
        .await
        .unwrap();
    assert_eq!(foreign.status(), 422, "a form with two tokens is none");
    let again = visitor
        .send(RUN, &format!("{RUN}/again"), &[])
        .await
        .unwrap();
    assert_eq!(
        (again.status().as_u16(), &again.headers()["location"]),
        (303, &"/projects/shop/runs".parse().unwrap())
    );
    server.made(2).await.unwrap();
    let second = visitor.page("/projects/shop/runs/2").await.unwrap();
    assert!(second.contains("Somebody ran <a href=\"/projects/shop/runs/1\">run 1</a> again"));
    let cancel = visitor
        .send("/projects/shop/runs/2", "/projects/shop/runs/2/cancel", &[])
        .await
        .unwrap();
    assert_eq!(cancel.status(), 303);
    assert!(matches!(
        server.ended(2).await.unwrap(),
        Cause::Cancelled { .. }
    ));

    let runs = |query: &'static str| visitor.page(query);
    let failed = runs("/projects/shop/runs?state=failed&ref=main")
        .await
        .unwrap();
    assert!(
        failed.contains("href=\"/projects/shop/runs/1\"")
            && !failed.contains("href=\"/projects/shop/runs/2\"")
    );
    assert!(
        runs("/projects/shop/runs?ref=other")
            .await
            .unwrap()
            .contains("No run matches")
    );
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_run_shows_its_complaints_as_a_terminal_does() {
    let server = Orchestrator::start().await.unwrap();
    server
        .push("version: 1\non: { push: { branches: [main] } }\nsteps:\n  a: { rnu: 3 }\n  b: { analyze: { tols: [] } }\n")
        .await
        .unwrap();
    assert!(server.ended(1).await.is_err(), "it never runs");
    let page = server.visitor().await.unwrap().page(RUN).await.unwrap();
    assert!(page.contains("Invalid"), "{page}");
    // Each fault with its place, the line with a mark below it, and what helps.
    for part in [
        ".sallyport.yml:4:8\n",
        "4 |   a: { rnu: 3 }\n",
        ".sallyport.yml:5:19\n",
        "5 |   b: { analyze: { tols: [] } }\n",
        "^^^^ did you mean `tools`?",
        "= help: the keys here are tools",
    ] {
        let text = page.replace("&#62;", ">").replace("&#39;", "'");
        assert!(text.contains(part), "{part}\nis not in\n{page}");
    }
    server.stop().await;
}
