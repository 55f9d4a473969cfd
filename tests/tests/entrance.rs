//! What holds for every request at the public entrance, over real HTTP: the host, where a form comes
//! from, the headers that browsers obey, ids, and refusals that programs can read.

use orchestrator::identity::Role;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use tests::orchestrator::{Orchestrator, Person};

async fn house() -> (Orchestrator, Person, Client) {
    let server = Orchestrator::start().await.unwrap();
    let person = server
        .person("mara", &[Role::Developer], false)
        .await
        .unwrap();
    let http = Client::builder().redirect(reqwest::redirect::Policy::none());
    (server, person, http.build().unwrap())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The code of a problem, which has to be whole: its status is the answer's, its id the header's.
async fn problem(response: Response) -> (u16, String) {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_eq!(header(&headers, "content-type"), "application/problem+json");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(
        body["request_id"],
        header(&headers, "x-request-id"),
        "{body}"
    );
    assert_eq!(body["request_id"].as_str().unwrap().len(), 36, "{body}");
    assert!(body["title"].as_str().unwrap().len() > 3, "{body}");
    assert!(body["detail"].as_str().unwrap().len() > 5, "{body}");
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn another_host_is_refused_and_health_is_asked_by_any() {
    let (server, _, http) = house().await;
    let get = |path: &str| {
        http.get(format!("{}{path}", server.url()))
            .header("host", "evil.example")
    };
    let refused = get("/api/v1/projects").send().await.unwrap();
    assert_eq!(problem(refused).await, (421, "wrong-host".to_owned()));
    assert_eq!(
        get("/sign-in").send().await.unwrap().status(),
        StatusCode::MISDIRECTED_REQUEST
    );
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            get(path).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_form_counts_only_from_our_own_page_and_session() {
    let (server, mara, http) = house().await;
    let other = server
        .person("ines", &[Role::Developer], false)
        .await
        .unwrap();
    let sign_out = |csrf: &str| {
        http.post(format!("{}/sign-out", server.url()))
            .header("cookie", &mara.cookie)
            .form(&[("csrf", csrf)])
    };
    let status = |response: Response| response.status().as_u16();
    let elsewhere = sign_out(&mara.csrf).header("sec-fetch-site", "cross-site");
    assert_eq!(
        status(elsewhere.send().await.unwrap()),
        403,
        "from another site, with the right token"
    );
    let elsewhere = sign_out(&mara.csrf).header("origin", "https://evil.example");
    assert_eq!(
        status(elsewhere.send().await.unwrap()),
        403,
        "an old browser names the origin"
    );
    assert_eq!(status(sign_out("").send().await.unwrap()), 400, "no token");
    assert_eq!(
        status(sign_out(&other.csrf).send().await.unwrap()),
        400,
        "another session's token"
    );
    // None of it has signed her out.
    let home = http.get(server.url()).header("cookie", &mara.cookie);
    assert_eq!(status(home.send().await.unwrap()), 200);
    let own = sign_out(&mara.csrf).header("sec-fetch-site", "same-origin");
    assert_eq!(status(own.send().await.unwrap()), 303);
    let home = http.get(server.url()).header("cookie", &mara.cookie);
    assert_eq!(status(home.send().await.unwrap()), 303, "now she is");

    let api = http.post(format!("{}/api/v1/users", server.url()));
    let api = api
        .header("sec-fetch-site", "cross-site")
        .bearer_auth(&mara.token);
    assert_eq!(
        problem(api.send().await.unwrap()).await,
        (403, "cross-origin".to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_obey() {
    let (server, mara, http) = house().await;
    for path in [
        "/",
        "/sign-in",
        "/deliveries",
        "/nothing/here",
        "/api/v1/projects",
        "/api/nothing",
        "/healthz",
    ] {
        let request = http
            .get(format!("{}{path}", server.url()))
            .header("cookie", &mara.cookie);
        let response = request.send().await.unwrap();
        let headers = response.headers().clone();
        let csp = header(&headers, "content-security-policy");
        assert!(
            csp.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}: {csp}"
        );
        assert!(
            csp.contains("frame-ancestors 'none'") && csp.contains("base-uri 'none'"),
            "{path}: {csp}"
        );
        assert!(
            !csp.contains("unsafe") && !csp.contains("http:") && !csp.contains('*'),
            "{path}: {csp}"
        );
        for (name, wanted) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(header(&headers, name), wanted, "{path}: {name}");
        }
        let text = response.text().await.unwrap();
        // What the policy forbids is not there either: a page that needs it would be broken.
        for inline in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
            assert!(!text.contains(inline), "{path} has {inline}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_sessions_cookie_is_for_the_browser_alone() {
    let (server, _, http) = house().await;
    let form = [
        ("name", "mara"),
        ("password", "a password for stories"),
        ("back", "//evil.example"),
    ];
    let signed_in = http
        .post(format!("{}/sign-in", server.url()))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(signed_in.headers(), "location"), "/");
    let cookie = header(signed_in.headers(), "set-cookie");
    for part in ["session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_sent_after_the_session_leads_back_to_a_page_that_can_be_read() {
    let (server, _, http) = house().await;
    let url = |path: &str| format!("{}{path}", server.url());
    let send = |referer: String| {
        let act = http.post(url("/projects/shop/runs/1/again"));
        act.header("referer", referer).form(&[("csrf", "x")])
    };
    for (referer, back) in [
        (url("/projects/shop/runs"), "/projects/shop/runs"),
        (url("//evil.example"), "/projects/shop/runs/1"),
        ("https://evil.example/x".to_owned(), "/projects/shop/runs/1"),
    ] {
        let answer = send(referer.clone()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let to = format!("/sign-in?back={back}&out=");
        assert_eq!(header(answer.headers(), "location"), to, "{referer}");
        let page = http.get(url(&to)).send().await.unwrap();
        let text = page.text().await.unwrap();
        assert!(text.contains("You were signed out; nothing was done"));
        let is_foreign = text.contains("value=\"//");
        assert!(!is_foreign, "the form leads to this server only: {text}");
    }
    let first = http.get(url("/sign-in")).send().await.unwrap();
    let text = first.text().await.unwrap();
    assert!(!text.contains("You were signed out"));
    server.stop().await;
}

#[tokio::test]
async fn what_a_program_gets_wrong_is_told_as_a_problem() {
    let (server, mara, http) = house().await;
    let url = |path: &str| format!("{}{path}", server.url());
    let admin = server
        .person("root-2", &[Role::Admin], false)
        .await
        .unwrap();
    let post = |path: &str| http.post(url(path)).bearer_auth(&admin.token);
    let json = |text: &'static str| {
        post("/api/v1/users")
            .header("content-type", "application/json")
            .body(text)
    };
    let told = [
        (json("{"), 400, "bad-request"),
        (json(r#"{"name":"x"}"#), 422, "bad-document"),
        (
            json(r#"{"name":"x","roles":[],"password":"p","colour":1}"#),
            422,
            "bad-document",
        ),
        (post("/api/v1/users").body("{}"), 415, "wrong-media-type"),
        (
            http.delete(url("/api/v1/users")).bearer_auth(&admin.token),
            405,
            "method-not-allowed",
        ),
        (
            http.get(url("/api/v1/projects/shop/runs/one"))
                .bearer_auth(&mara.token),
            400,
            "bad-request",
        ),
        (
            http.get(url("/api/v1/projects/shop/runs?before=x"))
                .bearer_auth(&mara.token),
            400,
            "bad-request",
        ),
        (
            http.get(url("/api/v1/nothing")).bearer_auth(&mara.token),
            404,
            "not-found",
        ),
        (http.get(url("/api/v1/projects")), 401, "not-signed-in"),
        (
            http.get(url("/api/v1/projects")).bearer_auth("sp_nothing"),
            401,
            "not-signed-in",
        ),
        (
            http.get(url("/api/v1/users")).bearer_auth(&mara.token),
            403,
            "not-permitted",
        ),
        (
            http.post(url("/hooks/nothing")).body("x"),
            401,
            "not-verified",
        ),
        (
            json(r#"{"name":"x","roles":[],"password":"p"}"#),
            422,
            "password-length",
        ),
    ];
    for (request, status, code) in told {
        let response = request.send().await.unwrap();
        assert_eq!(problem(response).await, (status, code.to_owned()));
    }
    let answer = http
        .delete(url("/api/v1/users"))
        .bearer_auth(&admin.token)
        .send()
        .await
        .unwrap();
    assert!(
        header(answer.headers(), "allow").contains("POST"),
        "a 405 says what is there"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_id_that_a_client_chose_is_not_taken() {
    let (server, _, http) = house().await;
    let ask = || {
        http.get(format!("{}/healthz", server.url()))
            .header("x-request-id", "mine")
    };
    let first = ask().send().await.unwrap();
    let second = ask().send().await.unwrap();
    let (first, second) = (
        header(first.headers(), "x-request-id"),
        header(second.headers(), "x-request-id"),
    );
    assert_eq!(first.len(), 36, "{first}");
    assert_ne!(first, second);
    server.stop().await;
}
