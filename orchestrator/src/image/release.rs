//! The digest of a release: over the names and digests of its images, and nothing else.

use contract::digest::Digest;
use contract::name::Name;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// SHA-256 of the lines `<name> <digest>\n` in the order of the names.
pub fn release_digest(images: &BTreeMap<Name, Digest>) -> Digest {
    let mut lines = String::new();
    for (name, digest) in images {
        // Writing into a String cannot fail.
        let _written = writeln!(lines, "{name} {digest}");
    }
    Digest::of(lines.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_its_images_whatever_their_order() {
        let (api, web) = (Name::parse("api").unwrap(), Name::parse("web").unwrap());
        let one = BTreeMap::from([
            (web.clone(), Digest::of(b"w")),
            (api.clone(), Digest::of(b"a")),
        ]);
        let two = BTreeMap::from([(api, Digest::of(b"a")), (web.clone(), Digest::of(b"w"))]);
        assert_eq!(release_digest(&one), release_digest(&two));
        let other = BTreeMap::from([(web, Digest::of(b"w"))]);
        assert_ne!(release_digest(&one), release_digest(&other));
    }
}
