//! CycloneDX 1.4 to 1.7 (JSON): which packages an image holds.
//!
//! Tolerant where the specification lets writers differ; strict where a package's identity is at
//! stake, because a package that is misread is a package that is never matched: what cannot be
//! identified is kept and said, so that it counts as *not checked*.

use super::text::{self, Unreadable, clean_line};
use packageurl::PackageUrl;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::str::FromStr as _;

/// A bill of materials: syft writes about 1.5 KB a package.
pub const REPORT_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Components, nested ones included.
pub const COMPONENTS_MAX: usize = 50_000;
/// Packages: the largest images have some thousands, and all are written in one transaction.
pub const PACKAGES_MAX: usize = 10_000;
/// Components within components.
pub const DEPTH_MAX: usize = 16;
/// Characters of a purl.
pub const PURL_CHARS_MAX: usize = 1_024;
/// Characters of a name or version.
pub const NAME_CHARS_MAX: usize = 300;
/// Licences of one component.
pub const LICENCES_MAX: usize = 20;
const FORMAT: &str = "CycloneDX";
const VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];

/// The purl type of a component that has none that can be read.
pub const UNIDENTIFIED: &str = "unidentified";

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// `1.6`.
    pub spec_version: String,
    /// Every package once, by purl.
    pub packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// What it is, exactly; none when the component cannot be identified.
    pub purl: Option<String>,
    /// The purl's type (`pypi`, `deb`, …), or [`UNIDENTIFIED`].
    pub kind: String,
    /// Its name with its namespace (`org.example/core`).
    pub name: String,
    /// Its version; empty when unknown.
    pub version: String,
    /// The component's type (`library`, `application`, …).
    pub component_type: String,
    /// SPDX ids, names or expressions.
    pub licences: Vec<String>,
}

/// Reads a bill of materials.
pub fn parse(bytes: &[u8]) -> Result<Sbom, Unreadable> {
    text::bounded(FORMAT, bytes, REPORT_BYTES_MAX)?;
    let bom: Bom = text::json(FORMAT, bytes)?;
    if bom.bom_format != "CycloneDX" {
        return Err(garbage("its bomFormat is not CycloneDX"));
    }
    if !VERSIONS.contains(&bom.spec_version.as_str()) {
        return Err(garbage("its specVersion is not one of 1.4, 1.5, 1.6, 1.7"));
    }
    let mut packages = BTreeMap::new();
    let mut open: Vec<(usize, &Component)> = bom.components.iter().map(|c| (1, c)).collect();
    let mut count = 0;
    while let Some((depth, component)) = open.pop() {
        count += 1;
        if count > COMPONENTS_MAX {
            return Err(too_many("components", COMPONENTS_MAX));
        }
        if depth > DEPTH_MAX {
            return Err(too_many("nested components", DEPTH_MAX));
        }
        open.extend(component.components.iter().map(|inner| (depth + 1, inner)));
        if let Some(package) = package_of(component) {
            let key = (
                package.purl.clone(),
                package.name.clone(),
                package.version.clone(),
            );
            packages.entry(key).or_insert(package);
            if packages.len() > PACKAGES_MAX {
                return Err(too_many("packages", PACKAGES_MAX));
            }
        }
    }
    Ok(Sbom {
        spec_version: bom.spec_version,
        packages: packages.into_values().collect(),
    })
}

fn garbage(detail: &str) -> Unreadable {
    Unreadable::Garbage {
        format: FORMAT,
        detail: detail.to_owned(),
    }
}

fn too_many(what: &'static str, limit: usize) -> Unreadable {
    Unreadable::TooMany {
        format: FORMAT,
        what,
        limit,
    }
}

/// A component that is a package; files, the operating system and the like are none unless they
/// have a purl.
fn package_of(component: &Component) -> Option<Package> {
    let is_package = matches!(
        component.kind.as_str(),
        "library" | "framework" | "application"
    );
    if component.purl.is_none() && !is_package {
        return None;
    }
    let identified = component
        .purl
        .as_deref()
        .and_then(|purl| identified(purl, component.version.as_deref()));
    let (purl, kind, name, version) = match identified {
        Some(identity) => identity,
        None => (
            None,
            UNIDENTIFIED.to_owned(),
            clean_line(&component.name, NAME_CHARS_MAX),
            clean_line(
                component.version.as_deref().unwrap_or_default(),
                NAME_CHARS_MAX,
            ),
        ),
    };
    Some(Package {
        purl,
        kind,
        name,
        version,
        component_type: clean_line(&component.kind, NAME_CHARS_MAX),
        licences: component
            .licenses
            .iter()
            .filter_map(LicenceChoice::said)
            .take(LICENCES_MAX)
            .map(|licence| clean_line(licence, NAME_CHARS_MAX))
            .collect(),
    })
}

type Identity = (Option<String>, String, String, String);

/// The identity that a purl gives, unless the component contradicts it: two versions for one thing
/// could be matched as the harmless one.
fn identified(text: &str, component_version: Option<&str>) -> Option<Identity> {
    if text.chars().count() > PURL_CHARS_MAX || text.chars().any(char::is_control) {
        return None;
    }
    let purl = PackageUrl::from_str(text).ok()?;
    let component_version = component_version.filter(|version| !version.is_empty());
    let version = match (purl.version(), component_version) {
        (Some(of_purl), Some(of_component)) if of_purl != of_component => return None,
        (Some(version), _) | (None, Some(version)) => version,
        (None, None) => "",
    };
    let name = match purl.namespace() {
        Some(namespace) => format!("{namespace}/{}", purl.name()),
        None => purl.name().to_owned(),
    };
    let fits = |text: &str| text.chars().count() <= NAME_CHARS_MAX;
    if !fits(&name) || !fits(version) {
        return None;
    }
    let mut full = purl.clone();
    if purl.version().is_none() && !version.is_empty() {
        full.with_version(version.to_owned()).ok()?;
    }
    Some((
        Some(full.to_string()),
        purl.ty().to_owned(),
        name,
        version.to_owned(),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    bom_format: String,
    spec_version: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    #[serde(default)]
    licenses: Vec<LicenceChoice>,
    #[serde(default)]
    components: Vec<Self>,
}

#[derive(Deserialize)]
struct LicenceChoice {
    license: Option<Licence>,
    expression: Option<String>,
}

impl LicenceChoice {
    fn said(&self) -> Option<&str> {
        let licence = self.license.as_ref();
        licence
            .and_then(|licence| licence.id.as_deref().or(licence.name.as_deref()))
            .or(self.expression.as_deref())
    }
}

#[derive(Deserialize)]
struct Licence {
    id: Option<String>,
    name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYFT: &[u8] = include_bytes!("../fixtures/syft-cyclonedx.json");

    fn bom(components: &str) -> Result<Sbom, Unreadable> {
        parse(
            format!(
                r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{components}]}}"#
            )
            .as_bytes(),
        )
    }

    #[test]
    fn what_syft_writes_is_read() {
        let sbom = parse(SYFT).unwrap();
        assert_eq!(sbom.spec_version, "1.6");
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for package in &sbom.packages {
            *kinds.entry(&package.kind).or_default() += 1;
        }
        assert_eq!(kinds, BTreeMap::from([("deb", 6), ("npm", 1), ("pypi", 3)]));
        let ssl = sbom.packages.iter().find(|p| p.name == "debian/libssl3");
        let ssl = ssl.unwrap();
        assert_eq!(ssl.version, "3.0.19-1~deb12u2");
        assert!(ssl.purl.as_deref().unwrap().contains("upstream=openssl"));
        let flask = sbom.packages.iter().find(|p| p.name == "flask-login");
        assert_eq!(flask.unwrap().licences, ["BSD-3-Clause"]);
    }

    #[test]
    fn what_cannot_be_identified_is_kept_and_said() {
        let sbom = bom(r#"{"type":"library","name":"a","version":"1"},
               {"type":"library","name":"b","version":"2","purl":"not a purl"},
               {"type":"library","name":"c","version":"3","purl":"pkg:pypi/c@4"},
               {"type":"file","name":"/etc/passwd"},
               {"type":"library","name":"d","version":"5","purl":"pkg:pypi/d"}"#)
        .unwrap();
        let seen: Vec<_> = sbom
            .packages
            .iter()
            .map(|p| (p.name.as_str(), p.kind.as_str(), p.purl.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", UNIDENTIFIED, None),
                ("b", UNIDENTIFIED, None),
                ("c", UNIDENTIFIED, None),
                ("d", "pypi", Some("pkg:pypi/d@5")),
            ]
        );
    }

    #[test]
    fn nested_components_and_repeats_count_once() {
        let one = r#"{"type":"library","name":"a","version":"1","purl":"pkg:cargo/a@1"}"#;
        let sbom = bom(&format!(
            r#"{one},{{"type":"application","name":"app","purl":"pkg:generic/app@2","components":[{one}]}}"#
        ))
        .unwrap();
        assert_eq!(sbom.packages.len(), 2);
    }

    #[test]
    fn garbage_is_refused() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        for text in [
            "",
            "{}",
            "[]",
            deep.as_str(),
            r#"{"bomFormat":"SPDX","specVersion":"1.6"}"#,
            r#"{"bomFormat":"CycloneDX","specVersion":"2.0"}"#,
            r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library"}]}"#,
            r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"#,
        ] {
            assert!(matches!(
                parse(text.as_bytes()),
                Err(Unreadable::Garbage { .. })
            ));
        }
    }

    #[test]
    fn every_limit_is_reached() {
        let large = vec![b' '; REPORT_BYTES_MAX + 1];
        assert!(matches!(parse(&large), Err(Unreadable::TooLarge { .. })));
        let many = vec![r#"{"type":"file","name":"f"}"#; COMPONENTS_MAX + 1].join(",");
        assert!(matches!(bom(&many), Err(Unreadable::TooMany { .. })));
        let packages = |count: usize| {
            let one = |n| format!(r#"{{"type":"library","name":"p{n}","purl":"pkg:npm/p{n}@1"}}"#);
            bom(&(0..count).map(one).collect::<Vec<_>>().join(","))
        };
        assert_eq!(packages(PACKAGES_MAX).unwrap().packages.len(), PACKAGES_MAX);
        assert!(matches!(
            packages(PACKAGES_MAX + 1),
            Err(Unreadable::TooMany {
                what: "packages",
                ..
            })
        ));
        let nested = |depth: usize| {
            let open = r#"{"type":"file","name":"f","components":["#.repeat(depth);
            bom(&format!("{open}{}", "]}".repeat(depth)))
        };
        assert!(nested(DEPTH_MAX).is_ok());
        assert!(matches!(
            nested(DEPTH_MAX + 1),
            Err(Unreadable::TooMany {
                what: "nested components",
                ..
            })
        ));
        let long = "n".repeat(PURL_CHARS_MAX);
        let licence = r#"{"license":{"id":"MIT"}}"#;
        let licences = vec![licence; LICENCES_MAX + 1].join(",");
        let sbom = bom(&format!(
            r#"{{"type":"library","name":"{long}","purl":"pkg:pypi/{long}@1","licenses":[{licences}]}}"#
        ))
        .unwrap();
        assert_eq!(sbom.packages[0].kind, UNIDENTIFIED);
        assert_eq!(sbom.packages[0].name.chars().count(), NAME_CHARS_MAX + 1);
        assert_eq!(sbom.packages[0].licences.len(), LICENCES_MAX);
    }
}
