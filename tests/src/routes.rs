//! The routes of the orchestrator, read from the one file that is its whole URL table.

use regex::Regex;
use std::collections::BTreeSet;
use std::path::Path;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `GET`.
    pub method: String,
    /// `/api/v1/users/{name}/tokens`.
    pub path: String,
}

/// Every route of `http/router.rs`.
///
/// # Panics
/// When the file cannot be read, or a route in it not be understood: then this reader has to learn.
pub fn all() -> BTreeSet<Route> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../orchestrator/src/http/router.rs");
    let text = std::fs::read_to_string(&file).expect("router.rs is there");
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    routes(&code)
}

fn routes(code: &str) -> BTreeSet<Route> {
    let path = Regex::new(r#"^\s*(&lease\()?\s*"([^"]+)"\)?\s*,"#).expect("a pattern");
    let method = Regex::new(r"\b(get|post|put|patch|delete|any)\(").expect("a pattern");
    let mut found = BTreeSet::new();
    for call in code.split(".route(").skip(1) {
        let call = first_argument_list(call);
        let head = path
            .captures(call)
            .unwrap_or_else(|| panic!("a route that is not understood: {call}"));
        let below = if head.get(1).is_some() {
            "/worker/v1/leases/{step}/{fence}/"
        } else {
            ""
        };
        let handlers = &call[head[0].len()..];
        let methods: Vec<String> = method
            .captures_iter(handlers)
            .map(|m| m[1].to_uppercase())
            .collect();
        assert!(!methods.is_empty(), "a route without a method: {call}");
        for method in methods {
            let path = format!("{below}{}", &head[2]);
            assert!(
                found.insert(Route { method, path }),
                "a route stands twice: {call}"
            );
        }
    }
    found
}

/// What stands inside the parentheses that are open at the start.
fn first_argument_list(text: &str) -> &str {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_with_its_methods() {
        let code = r#"Router::new()
            .route("/a", post(x::add).get(x::list))
            .route(
                &lease("log/{sequence}"),
                put(x::log).layer(limit(3)),
            )
            .layer(y)"#;
        let found: Vec<String> = routes(code)
            .into_iter()
            .map(|r| format!("{} {}", r.method, r.path))
            .collect();
        assert_eq!(
            found,
            [
                "GET /a",
                "POST /a",
                "PUT /worker/v1/leases/{step}/{fence}/log/{sequence}"
            ]
        );
    }
}
