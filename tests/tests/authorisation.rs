//! The authorisation table: every route of `http/router.rs`, every kind of caller, what they are
//! answered. A route that is not in the table fails the test.

use orchestrator::identity::Role;
use reqwest::{Client, Method};
use std::collections::{BTreeMap, BTreeSet};
use tests::orchestrator::{Orchestrator, Person};
use tests::routes::{self, Route};
use tests::worker::{ScriptedWorker, enrol};

/// Who asks, in the order of the columns. `stranger` is signed in and has no role; the next three have
/// theirs in the project `shop` alone, the auditor and the administrator everywhere; `host` is at
/// `admin.sock`.
const CALLERS: [&str; 7] = [
    "nobody",
    "stranger",
    "developer",
    "manager",
    "auditor",
    "admin",
    "host",
];

/// A `-` is an entrance that does not have the route. Every caller of a row sends the same good
/// request; what differs is who they are. 303 of a page is the way to the sign-in or onward.
const API: &str = "
GET  /api/v1/users                                                            401 403 403 403 403 200 200
POST /api/v1/users                                                            401 403 403 403 403 201 201
POST /api/v1/users/{name}/tokens                                              401 403 403 403 403 201 201
GET  /api/v1/projects                                                         401 200 200 200 200 200 200
GET  /api/v1/projects/{project}/settings                                      401 404 200 200 200 200 200
PUT  /api/v1/projects/{project}/settings                                      401 403 403 403 403 200 200
GET  /api/v1/projects/{project}/hooks                                         401 404 200 200 200 200 200
POST /api/v1/projects/{project}/hooks                                         401 404 403 403 403 201 201
POST /api/v1/projects/{project}/hooks/{hook}/disable                          401 404 403 403 403 404 404
POST /api/v1/projects/{project}/hooks/{hook}/secret                           401 404 403 403 403 404 404
GET  /api/v1/projects/{project}/runs                                          401 404 200 200 200 200 200
GET  /api/v1/projects/{project}/runs/{number}                                 401 404 200 200 200 200 200
POST /api/v1/projects/{project}/runs/{number}/cancel                          401 404 202 202 403 202 202
POST /api/v1/projects/{project}/runs/{number}/again                           401 404 202 202 403 202 202
GET  /api/v1/projects/{project}/runs/{number}/steps/{step}/log                401 404 200 200 200 200 200
GET  /api/v1/projects/{project}/promotions                                    401 404 200 200 200 200 200
POST /api/v1/projects/{project}/environments/{environment}/promotions         401 404 404 404 403 404 404
GET  /api/v1/promotions/{id}                                                  401 404 200 200 200 200 200
POST /api/v1/promotions/{id}/withdraw                                         401 404 403 403 403 403 403
POST /api/v1/promotions/{id}/give-up                                          401 404 403 403 403 409 409
GET  /api/v1/workers                                                          401 403 403 403 200 200 200
POST /api/v1/workers/tokens                                                   401 403 403 403 403 201 201
POST /api/v1/workers/{name}/{act}                                             401 403 403 403 403 200 200
GET  /api/v1/advisories                                                       401 403 403 403 200 200 200
PUT  /api/v1/advisories                                                       401 403 403 403 403 422 422
GET  /healthz                                                                 200 200 200 200 200 200 200
GET  /readyz                                                                  200 200 200 200 200 200 200
GET  /metrics                                                                 404 404 404 404 404 404 200
POST /hooks/{hook}                                                            401 401 401 401 401 401 -
GET  /registry/token                                                          401 200 200 200 200 200 -
";

/// As above, with a session's cookie instead of a token.
const PAGES: &str = "
GET  /                                                                        303 200 200 200 200 200 -
GET  /sign-in                                                                 200 200 200 200 200 200 -
POST /sign-in                                                                 401 401 401 401 401 401 -
GET  /static/{hash}/{file}                                                    404 404 404 404 404 404 -
GET  /docs/names/{kind}/{name}                                                200 200 200 200 200 200 -
GET  /projects/{project}                                                      303 303 303 303 303 303 -
GET  /projects/{project}/runs                                                 303 404 200 200 200 200 -
GET  /projects/{project}/runs/{number}                                        303 404 200 200 200 200 -
POST /projects/{project}/runs/{number}/again                                  303 404 303 303 403 303 -
POST /projects/{project}/runs/{number}/cancel                                 303 404 303 303 403 303 -
GET  /projects/{project}/runs/{number}/artifacts/{artifact}                   303 404 404 404 404 404 -
GET  /projects/{project}/runs/{number}/steps/{step}                           303 404 200 200 200 200 -
GET  /projects/{project}/runs/{number}/steps/{step}/events                    303 404 200 200 200 200 -
GET  /projects/{project}/runs/{number}/steps/{step}/log                       303 404 200 200 200 200 -
GET  /projects/{project}/findings                                             303 404 200 200 200 200 -
GET  /projects/{project}/environments                                         303 404 200 200 200 200 -
POST /projects/{project}/environments/{environment}                           303 404 404 404 404 404 -
GET  /promotions/{id}                                                         303 404 200 200 200 200 -
POST /promotions/{id}                                                         303 404 409 409 409 409 -
POST /promotions/{id}/withdraw                                                303 404 403 403 403 403 -
GET  /approvals                                                               303 200 200 200 200 200 -
GET  /deliveries                                                              303 200 200 200 200 200 -
GET  /deliveries/{id}                                                         303 404 200 200 200 200 -
POST /deliveries/{id}/payload                                                 303 404 403 403 200 200 -
GET  /log-entries                                                             303 404 404 404 200 200 -
GET  /workers                                                                 303 404 200 200 200 200 -
POST /sign-out                                                                303 303 303 303 303 303 -
";

/// The worker entrance: no certificate, one that was revoked, a worker without the lease.
const WORKERS: &str = "
POST /worker/v1/enrol                                                         400 400 400
POST /worker/v1/hello                                                         403 403 400
POST /worker/v1/claim                                                         403 403 400
POST /worker/v1/leases/{step}/{fence}/heartbeat                               403 403 400
PUT  /worker/v1/leases/{step}/{fence}/log/{sequence}                          403 403 400
PUT  /worker/v1/leases/{step}/{fence}/artifacts/{sequence}                    403 403 400
GET  /worker/v1/leases/{step}/{fence}/source                                  403 403 409
POST /worker/v1/leases/{step}/{fence}/registry-token                          403 403 400
POST /worker/v1/leases/{step}/{fence}/report                                  403 403 403
";

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
";

const PROMOTION: &str = "01900000-0000-7000-8000-0000000000aa";
const RELEASE: &str = "01900000-0000-7000-8000-0000000000bb";

struct Row {
    route: Route,
    /// What each caller is answered; none where the entrance does not have the route.
    wanted: Vec<Option<u16>>,
}

fn rows(table: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let route = Route {
            method: words.next().unwrap().to_owned(),
            path: words.next().unwrap().to_owned(),
        };
        let wanted = words.map(|word| word.parse().ok()).collect();
        Row { route, wanted }
    };
    table.trim().lines().map(row).collect()
}

#[test]
fn every_route_stands_in_the_table() {
    let listed: BTreeSet<Route> = [API, PAGES, WORKERS]
        .into_iter()
        .flat_map(rows)
        .map(|row| row.route)
        .collect();
    let there = routes::all();
    let missing: Vec<&Route> = there.difference(&listed).collect();
    let gone: Vec<&Route> = listed.difference(&there).collect();
    assert!(missing.is_empty(), "routes without a row: {missing:#?}");
    assert!(gone.is_empty(), "rows without a route: {gone:#?}");
}

/// A server in which everything that the rows name is there.
struct House {
    server: Orchestrator,
    people: BTreeMap<&'static str, Person>,
    admin: Client,
    http: Client,
    delivery: String,
}

impl House {
    async fn new() -> Self {
        let server = Orchestrator::start().await.unwrap();
        server.push(PIPELINE).await.unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while server.steps(1).await.unwrap().is_empty() {
            assert!(std::time::Instant::now() < until, "the run has no steps");
            tokio::task::yield_now().await;
        }
        promoted_once(&server).await;
        let mut people = BTreeMap::new();
        let all: [(&str, &[Role], bool); 5] = [
            ("stranger", &[], true),
            ("developer", &[Role::Developer], true),
            ("manager", &[Role::ReleaseManager], true),
            ("auditor", &[Role::Auditor], false),
            ("admin", &[Role::Admin], false),
        ];
        for (name, roles, in_shop) in all {
            people.insert(name, server.person(name, roles, in_shop).await.unwrap());
        }
        let redirects = reqwest::redirect::Policy::none;
        let socket = server.open_admin().unwrap();
        let admin = Client::builder().unix_socket(socket).redirect(redirects());
        let delivery = {
            let mut conn = server.app().ground.db.reader().await.unwrap();
            let found: (String,) =
                orchestrator::fetch_one!(conn, (String,), "SELECT id FROM delivery").unwrap();
            found.0
        };
        Self {
            server,
            people,
            admin: admin.build().unwrap(),
            http: Client::builder().redirect(redirects()).build().unwrap(),
            delivery,
        }
    }

    fn path(&self, route: &Route) -> String {
        let path = route
            .path
            .replace("{project}", "shop")
            .replace("{number}", "1")
            .replace("{step}", "unit")
            .replace("{artifact}", "01900000-0000-7000-8000-0000000000cc")
            .replace("{environment}", "dev")
            .replace("{name}/{act}", "demo-1/drain")
            .replace("{kind}/{name}", "build-type/run")
            .replace("{name}", "developer")
            .replace("{hook}", "nothing")
            .replace("{hash}/{file}", "0/nothing.css");
        if path.starts_with("/deliveries/") {
            return path.replace("{id}", &self.delivery);
        }
        path.replace("{id}", PROMOTION)
    }

    /// What the caller is answered, who sends forms of their own.
    async fn ask(&self, route: &Route, caller: &str, with_cookie: bool) -> u16 {
        let own = self.people.get(caller);
        let csrf = own.map_or("", |person| person.csrf.as_str());
        self.ask_by_form_of(csrf, route, caller, with_cookie).await
    }

    /// The same with a form that carries this token.
    async fn ask_by_form_of(
        &self,
        csrf: &str,
        route: &Route,
        caller: &str,
        with_cookie: bool,
    ) -> u16 {
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let path = self.path(route);
        let (http, base) = if caller == "host" {
            (&self.admin, "http://localhost".to_owned())
        } else {
            (&self.http, self.server.url())
        };
        let query = if method == Method::PUT && path.ends_with("/settings") {
            "?from=1"
        } else {
            ""
        };
        let mut request = http.request(method.clone(), format!("{base}{path}{query}"));
        let person = self.people.get(caller);
        if let Some(person) = person {
            request = if with_cookie {
                request.header("cookie", &person.cookie)
            } else if path == "/registry/token" {
                request.basic_auth("x", Some(&person.token))
            } else {
                request.bearer_auth(&person.token)
            };
        }
        if method != Method::GET {
            request = match self.body(route, caller, csrf).await {
                Body::Json(json) => request.json(&json),
                Body::Form(form) => request.form(&form),
                Body::Bytes(bytes) => request.body(bytes),
            };
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn body(&self, route: &Route, caller: &str, csrf: &str) -> Body {
        let json = |text: &str| Body::Json(serde_json::from_str(text).unwrap());
        let form = |fields: &[(&'static str, &str)]| {
            Body::Form(fields.iter().map(|(k, v)| (*k, (*v).to_owned())).collect())
        };
        match route.path.as_str() {
            "/api/v1/users" => json(&format!(
                r#"{{"name":"new-{caller}","roles":[],"password":"long enough for a password"}}"#
            )),
            "/api/v1/users/{name}/tokens" => json(r#"{"name":"t"}"#),
            "/api/v1/projects/{project}/settings" => {
                let mut conn = self.server.app().ground.db.reader().await.unwrap();
                let sql = "SELECT document FROM project_settings";
                let document: (Vec<u8>,) = orchestrator::fetch_one!(conn, (Vec<u8>,), sql).unwrap();
                Body::Bytes(document.0)
            }
            "/api/v1/projects/{project}/hooks" => {
                json(r#"{"provider":"git","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#)
            }
            "/api/v1/projects/{project}/hooks/{hook}/secret" => {
                json(r#"{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#)
            }
            "/api/v1/projects/{project}/environments/{environment}/promotions" => {
                json(r#"{"run":1}"#)
            }
            "/api/v1/promotions/{id}/give-up" => json(r#"{"reason":"it takes too long"}"#),
            "/projects/{project}/environments/{environment}" => {
                form(&[("csrf", csrf), ("release", RELEASE)])
            }
            "/promotions/{id}" => form(&[
                ("csrf", csrf),
                ("decision", "approve"),
                ("reason", "it is good"),
                ("evidence", &format!("sha256:{}", "0".repeat(64))),
            ]),
            "/sign-in" => form(&[("name", caller), ("password", "not it")]),
            "/projects/{project}/runs/{number}/again"
            | "/projects/{project}/runs/{number}/cancel"
            | "/promotions/{id}/withdraw"
            | "/deliveries/{id}/payload"
            | "/sign-out" => form(&[("csrf", csrf)]),
            _ => Body::Bytes(Vec::new()),
        }
    }
}

enum Body {
    Json(serde_json::Value),
    Form(Vec<(&'static str, String)>),
    Bytes(Vec<u8>),
}

/// A promotion that has ended: something to see, and nothing that a pass would work on.
async fn promoted_once(server: &Orchestrator) {
    let write = server.app().ground.db.write("test.promotion", |conn| {
        Box::pin(async move {
            orchestrator::execute!(
                conn,
                "INSERT INTO release (id, project_id, run_id, digest, made_at)
                 SELECT $1, project_id, id, $2, 1 FROM run WHERE number = 1",
                RELEASE,
                // Of no images: SHA-256 of nothing.
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            )?;
            orchestrator::execute!(
                conn,
                "INSERT INTO promotion (id, project_id, number, release_id, environment, settings_version,
                     state, cause, requested_by, requested_at, ended_at)
                 SELECT $1, project_id, 1, id, 'dev', 1, 'void', 'of a story', 'system', 1, 1 FROM release",
                PROMOTION
            )?;
            Ok::<_, orchestrator::db::Error>(())
        })
    });
    write.await.unwrap();
}

#[tokio::test]
async fn everybody_is_answered_as_the_table_says() {
    let house = House::new().await;
    let token = house.server.enrolment_token().await.unwrap();
    let entrance = house.server.entrance();
    let _worker: ScriptedWorker = enrol(&entrance, &token, "demo-1").await.unwrap();
    let mut wrong = Vec::new();
    for (table, with_cookie) in [(API, false), (PAGES, true)] {
        for row in rows(table) {
            assert_eq!(row.wanted.len(), CALLERS.len(), "{:?}", row.route);
            for (caller, wanted) in CALLERS.into_iter().zip(&row.wanted) {
                let got = match (caller, wanted) {
                    // What the other entrance does not have is not found there.
                    ("host", None) => {
                        let status = house.ask(&row.route, caller, with_cookie).await;
                        (status != 404).then_some(status)
                    }
                    _ => Some(house.ask(&row.route, caller, with_cookie).await),
                };
                if got != *wanted {
                    wrong.push(format!(
                        "{} {} {caller}: {got:?}, wanted {wanted:?}",
                        row.route.method, row.route.path
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    house.server.stop().await;
}

/// What changes something by a form, for a caller who may do all of it.
#[tokio::test]
async fn no_form_of_another_session_changes_anything() {
    let house = House::new().await;
    let other = house.people["manager"].csrf.as_str();
    let forms = rows(PAGES).into_iter().map(|row| row.route);
    let forms = forms.filter(|route| route.method == "POST" && route.path != "/sign-in");
    let mut count = 0;
    for route in forms {
        for csrf in [other, "", "0"] {
            let got = house.ask_by_form_of(csrf, &route, "admin", true).await;
            assert_eq!(got, 400, "{} with `{csrf}`", route.path);
        }
        count += 1;
    }
    assert!(count >= 7, "{count} forms");
}

#[tokio::test]
async fn workers_are_answered_as_the_table_says() {
    let server = Orchestrator::start().await.unwrap();
    let entrance = server.entrance();
    let (token, other) = (
        server.enrolment_token().await.unwrap(),
        server.enrolment_token().await.unwrap(),
    );
    let revoked = enrol(&entrance, &token, "revoked-1").await.unwrap();
    server.revoke("revoked-1").await.unwrap();
    let worker = enrol(&entrance, &other, "demo-1").await.unwrap();
    // The pin is the real worker's business; here it only matters that there is no certificate.
    let nobody = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let mut wrong = Vec::new();
    for row in rows(WORKERS) {
        let path = row
            .route
            .path
            .replace("{step}", "01900000-0000-7000-8000-0000000000cc")
            .replace("{fence}", "1")
            .replace("{sequence}", "0");
        let method = Method::from_bytes(row.route.method.as_bytes()).unwrap();
        let request = nobody.request(method.clone(), format!("{entrance}{path}"));
        let request = request.header("sallyport-protocol", "1").body("{}");
        let got = [
            request.send().await.unwrap().status().as_u16(),
            revoked
                .status_of(method.clone(), &path)
                .await
                .unwrap()
                .as_u16(),
            worker.status_of(method, &path).await.unwrap().as_u16(),
        ];
        let wanted: Vec<u16> = row.wanted.into_iter().flatten().collect();
        if got[..] != wanted[..] {
            wrong.push(format!(
                "{} {}: {got:?}, wanted {wanted:?}",
                row.route.method, row.route.path
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop().await;
}
