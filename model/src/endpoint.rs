//! The network context of a node in the service graph, with Zipkin's rules (`zipkin.md` 4.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who recorded a span, or who was on the other side.
///
/// An endpoint with no field set does not exist: it is `None` wherever one is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Lower case, never empty.
    pub service_name: Option<String>,
    /// The addresses known of it.
    pub ip: IpAddresses,
    /// Zero when absent.
    pub port: u16,
}

impl Endpoint {
    /// True if no field is set.
    pub fn is_empty(&self) -> bool {
        self.service_name.is_none() && self.ip.is_empty() && self.port == 0
    }

    /// `Some` unless it is empty.
    pub fn into_option(self) -> Option<Self> {
        if self.is_empty() { None } else { Some(self) }
    }
}

/// At most one address of each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpAddresses {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address; never an IPv4 one mapped into it (`::ffff:1.2.3.4`).
    pub v6: Option<Ipv6Addr>,
}

impl IpAddresses {
    /// True if neither is set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// Puts an address where it belongs, whichever field it came in: an IPv4 address embedded in an
    /// IPv6 one (`::ffff:1.2.3.4`, `::1.2.3.4`) is IPv4.
    pub fn insert(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.v4 = Some(v4),
            IpAddr::V6(v6) => match embedded_v4(v6) {
                Some(v4) => self.v4 = Some(v4),
                None => self.v6 = Some(v6),
            },
        }
    }

    /// Reads an address from text; returns whether it was one. Text that is not an address is ignored,
    /// as Zipkin does. `::2` is itself: only what is written with dots means `0.0.0.2`.
    pub fn insert_text(&mut self, text: &str) -> bool {
        // Most are that, and the standard library takes three times as long.
        if let Some(v4) = dotted(text.as_bytes()) {
            self.v4 = Some(v4);
            return true;
        }
        match text.parse() {
            Ok(IpAddr::V6(v6)) if !text.contains('.') && v6.to_ipv4_mapped().is_none() => {
                self.v6 = Some(v6);
                true
            }
            Ok(address) => {
                self.insert(address);
                true
            }
            Err(_) => false,
        }
    }

    /// Reads an address from its 4 or 16 bytes in network order; returns whether it was one.
    pub fn insert_bytes(&mut self, bytes: &[u8]) -> bool {
        if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
            self.insert(IpAddr::from(v4));
        } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
            self.insert(IpAddr::from(v6));
        } else {
            return false;
        }
        true
    }
}

/// Four numbers up to 255 with dots between, without leading zeros.
fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = text;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let digit = |at: usize| {
            rest.get(at)
                .map(|byte| byte.wrapping_sub(b'0'))
                .filter(|&digit| digit < 10)
        };
        let first = digit(0)?;
        let (number, length) = match (digit(1), digit(2)) {
            (None, _) => (u16::from(first), 1),
            (Some(_), _) if first == 0 => return None,
            (Some(second), None) => (u16::from(first) * 10 + u16::from(second), 2),
            (Some(second), Some(third)) => (
                u16::from(first) * 100 + u16::from(second) * 10 + u16::from(third),
                3,
            ),
        };
        *octet = u8::try_from(number).ok()?;
        rest = &rest[length..];
    }
    rest.is_empty().then(|| Ipv4Addr::from(octets))
}

/// `::` and `::1` are themselves, not `0.0.0.0` and `0.0.0.1`.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    if v6.is_unspecified() || v6.is_loopback() {
        None
    } else {
        v6.to_ipv4()
    }
}

/// A port beyond 65535. `Display` is Zipkin's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPort(pub i64);

impl fmt::Display for InvalidPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid port {}", self.0)
    }
}

impl std::error::Error for InvalidPort {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> IpAddresses {
        let mut ip = IpAddresses::default();
        ip.insert_text(text);
        ip
    }

    #[test]
    fn an_address_goes_where_it_belongs() {
        assert_eq!(read("1.2.3.4").v4, Some(Ipv4Addr::new(1, 2, 3, 4)));
        assert_eq!(read("::ffff:1.2.3.4"), read("1.2.3.4"));
        assert_eq!(read("::1.2.3.4"), read("1.2.3.4"));
        assert_eq!(
            read("2001:DB8:0:0:0:0:0:1").v6.unwrap().to_string(),
            "2001:db8::1"
        );
        assert_eq!(read("::1").v6, Some(Ipv6Addr::LOCALHOST));
        assert_eq!(read("::1:2").v6.unwrap().to_string(), "::1:2");
        assert!(read("localhost").is_empty());
    }

    #[test]
    fn addresses_of_four_numbers_are_those_of_the_standard_library() {
        let mut texts: Vec<String> = [
            "1.2.3",
            "1.2.3.4.",
            ".1.2.3",
            "1..2.3",
            "1.2.3.4.5",
            "1234.1.1.1",
            "",
            "+1.2.3.4",
            "1.2.3.٤",
        ]
        .map(str::to_owned)
        .into();
        for number in 0..300 {
            texts.push(format!("{number}.0.10.{number}"));
            texts.push(format!("1.{number:02}.{number:03}.1"));
        }
        for text in texts {
            assert_eq!(read(&text).v4, text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn bytes_of_another_length_are_no_address() {
        let mut ip = IpAddresses::default();
        assert!(!ip.insert_bytes(&[1, 2, 3]));
        assert!(ip.is_empty());
        assert!(ip.insert_bytes(&[127, 0, 0, 1]));
        assert_eq!(ip.v4, Some(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn an_endpoint_without_fields_is_none() {
        assert_eq!(Endpoint::default().into_option(), None);
        assert!(
            Endpoint {
                port: 80,
                ..Endpoint::default()
            }
            .into_option()
            .is_some()
        );
    }
}
