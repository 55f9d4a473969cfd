//! Addresses and networks: every address is an IPv6 one (IPv4 mapped), so that it is 16 bytes and a
//! network is a range of them (DECISIONS 24).

use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest text of a network: an IPv6 address with its length.
const TEXT_BYTES_MAX: usize = 64;
/// An IPv4 network's bits begin after the mapped prefix.
const MAPPED_BITS: u32 = 96;

/// An address or a CIDR, as somebody wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    first: Ipv6Addr,
    bits: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address and no network: wanted `10.0.0.0/8`, `2001:db8::/32` or one address")]
pub struct NotANetwork(String);

impl Network {
    /// Parses an address or a CIDR; bits behind the prefix are taken as zero.
    pub fn parse(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.chars().take(TEXT_BYTES_MAX).collect());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (offset, whole) = match address {
            IpAddr::V4(_) => (MAPPED_BITS, 32),
            IpAddr::V6(_) => (0, 128),
        };
        let length = match length {
            // A sign or a blank is no part of a number here.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
            None => whole,
        };
        if length > whole {
            return Err(wrong());
        }
        let bits = offset + length;
        Ok(Self {
            first: Ipv6Addr::from_bits(mapped(address).to_bits() & mask(bits)),
            bits,
        })
    }

    /// Its first address.
    pub fn first(&self) -> Ipv6Addr {
        self.first
    }

    /// Its last address.
    pub fn last(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.first.to_bits() | !mask(self.bits))
    }

    /// Whether it holds this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        mapped(address).to_bits() & mask(self.bits) == self.first.to_bits()
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        Self::parse(&text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first.to_ipv4_mapped() {
            Some(v4) if self.bits == 128 => write!(f, "{v4}"),
            Some(v4) if self.bits >= MAPPED_BITS => write!(f, "{v4}/{}", self.bits - MAPPED_BITS),
            None if self.bits == 128 => write!(f, "{}", self.first),
            Some(_) | None => write!(f, "{}/{}", self.first, self.bits),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Every address as IPv6.
pub fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// Whom an address belongs to, as far as strangers can be told apart: an IPv4 address, the /64 of an
/// IPv6 one, of which everybody has 2⁶⁴.
pub fn holder(address: IpAddr) -> Ipv6Addr {
    let address = mapped(address);
    match address.to_ipv4_mapped() {
        Some(_) => address,
        None => Ipv6Addr::from_bits(address.to_bits() & mask(64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_range_of_both_families() {
        let of = |text: &str| {
            let network = Network::parse(text).unwrap();
            format!("{network} {} {}", network.first(), network.last())
        };
        assert_eq!(
            of("198.51.100.24/24"),
            "198.51.100.0/24 ::ffff:198.51.100.0 ::ffff:198.51.100.255"
        );
        assert_eq!(
            of("198.51.100.24"),
            "198.51.100.24 ::ffff:198.51.100.24 ::ffff:198.51.100.24"
        );
        assert_eq!(
            of("0.0.0.0/0"),
            "0.0.0.0/0 ::ffff:0.0.0.0 ::ffff:255.255.255.255"
        );
        assert_eq!(
            of("2001:db8::1/32"),
            "2001:db8::/32 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        assert_eq!(
            of("::/0"),
            "::/0 :: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        let ten = Network::parse("10.0.0.0/8").unwrap();
        assert!(ten.contains([10, 1, 2, 3].into()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ten.contains([11, 0, 0, 0].into()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "localhost",
            "10.0.0.0/8/8",
            " 10.0.0.0",
        ] {
            assert!(Network::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_ipv6_neighbourhood_is_one_holder() {
        let of = |text: &str| holder(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("198.51.100.1"), of("198.51.100.2"));
    }
}
