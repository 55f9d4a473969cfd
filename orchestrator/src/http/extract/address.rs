//! Where a request came from: the other end of the connection, or whom a proxy of ours names.

use crate::network::Network;
use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address; none over a socket file. `X-Forwarded-For` is read from its end, as far as proxies of
/// ours wrote it: what stands before the first foreign address is that one's own claim.
pub fn client_address(
    proxies: &[Network],
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let is_ours = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut address = peer.ip();
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    let named = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for name in named {
        if !is_ours(address) {
            break;
        }
        // A proxy that names nobody readable is as far as can be seen.
        let Some(next) = read(name.trim()) else {
            break;
        };
        address = next;
    }
    Some(address)
}

/// Proxies write an address, some with its port, IPv6 ones then in brackets.
fn read(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok().or_else(|| {
        let socket: SocketAddr = text.parse().ok()?;
        Some(socket.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str]) -> String {
        let proxies = ["10.0.0.0/8", "::1"].map(|text| Network::parse(text).unwrap());
        let mut extensions = Extensions::new();
        let peer: SocketAddr = peer.parse().unwrap();
        extensions.insert(ConnectInfo(peer));
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let address = client_address(&proxies, &extensions, &headers);
        address.unwrap().to_string()
    }

    #[test]
    fn a_strangers_header_is_not_believed() {
        assert_eq!(of("198.51.100.7:1", &["203.0.113.9"]), "198.51.100.7");
        assert_eq!(of("198.51.100.7:1", &[]), "198.51.100.7");
    }

    #[test]
    fn behind_proxies_of_ours_the_nearest_foreign_address_asks() {
        assert_eq!(of("10.0.0.1:1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            of("10.0.0.1:1", &["1.1.1.1, 203.0.113.9, 10.2.3.4"]),
            "203.0.113.9"
        );
        assert_eq!(
            of("10.0.0.1:1", &["1.1.1.1, 203.0.113.9", "10.2.3.4"]),
            "203.0.113.9"
        );
        assert_eq!(of("[::1]:1", &["[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(of("10.0.0.1:1", &["203.0.113.9:5060"]), "203.0.113.9");
    }

    #[test]
    fn a_proxy_that_names_nobody_asks_itself() {
        assert_eq!(of("10.0.0.1:1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1:1", &["unknown"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1:1", &["203.0.113.9, "]), "10.0.0.1");
        assert_eq!(of("10.0.0.1:1", &["10.7.7.7"]), "10.7.7.7");
    }
}
