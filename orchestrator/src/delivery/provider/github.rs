//! GitHub: `X-Hub-Signature-256: sha256=<hex of HMAC-SHA256(secret, raw body)>`
//! (docs.github.com, "Validating webhook deliveries"). `X-GitHub-Delivery` is not signed.

use super::{Claims, KEYS_MAX, any_tag_fits, fitting_key, single, token};
use crate::delivery::state::{InvalidSecret, RefusalReason};
use http::{HeaderMap, HeaderName};
use zeroize::Zeroizing;

const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");
const EVENT: HeaderName = HeaderName::from_static("x-github-event");

pub(super) fn key(secret: &str) -> Result<Zeroizing<Vec<u8>>, InvalidSecret> {
    if (16..=256).contains(&secret.len()) {
        Ok(Zeroizing::new(secret.as_bytes().to_vec()))
    } else {
        Err(InvalidSecret::Length(secret.len()))
    }
}

pub(super) fn claims(headers: &HeaderMap) -> Claims {
    Claims {
        external_id: token(headers, &DELIVERY),
        event: token(headers, &EVENT),
    }
}

pub(super) fn verify(
    headers: &HeaderMap,
    body: &[u8],
    keys: [&[u8]; KEYS_MAX],
) -> Result<usize, RefusalReason> {
    let given = tag(headers);
    // The work is done before a malformed header is refused: its answer takes as long as any other.
    let wanted = [given.clone().unwrap_or_else(|_| vec![0; 32])];
    let fits = keys.map(|key| any_tag_fits(key, &[body], &wanted));
    given?;
    fitting_key(fits)
}

fn tag(headers: &HeaderMap) -> Result<Vec<u8>, RefusalReason> {
    let text = single(headers, &SIGNATURE)?;
    let digits = text.strip_prefix("sha256=");
    let tag = digits.and_then(|digits| hex::decode(digits).ok());
    tag.filter(|tag| tag.len() == 32)
        .ok_or(RefusalReason::SignatureMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"It's a Secret to Everybody";
    const TAG: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn try_with(values: &[&str], keys: [&[u8]; 2]) -> Result<usize, RefusalReason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SIGNATURE, value.parse().unwrap());
        }
        verify(&headers, b"Hello, World!", keys)
    }

    #[test]
    fn the_vector_of_githubs_documentation_verifies_with_either_secret() {
        let good = format!("sha256={TAG}");
        assert_eq!(try_with(&[&good], [KEY, b"other"]), Ok(0));
        assert_eq!(try_with(&[&good], [b"other", KEY]), Ok(1));
        assert_eq!(
            try_with(&[&good], [b"other", b"another"]),
            Err(RefusalReason::SignatureWrong)
        );
    }

    #[test]
    fn every_other_form_is_refused() {
        use RefusalReason::{SignatureMalformed as Malformed, SignatureMissing as Missing};
        let good = format!("sha256={TAG}");
        let odd = [
            (vec![], Missing),
            (vec![""], Malformed),
            (vec!["sha256="], Malformed),
            (vec![TAG], Malformed),
            (
                vec!["sha1=757107ea0eb2509fc211221cce984b8a37570b6d"],
                Malformed,
            ),
            (
                vec!["sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"],
                Malformed,
            ),
            (vec!["sha256=757107"], Malformed),
            (vec![&good, &good], Malformed),
        ];
        for (values, reason) in odd {
            assert_eq!(try_with(&values, [KEY, KEY]), Err(reason), "{values:?}");
        }
    }

    #[test]
    fn a_short_secret_is_no_secret() {
        assert_eq!(key("short").err(), Some(InvalidSecret::Length(5)));
        assert!(key("It's a Secret to Everybody").is_ok());
    }
}
