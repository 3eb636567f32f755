//! Who was at the two ends of a span, from its attributes: of today's semantic conventions and of those before.

use model::{EndpointDraft, IpAddresses, Kind, SpanBatch, Text};

/// An attribute that tells about one of the ends. The first twelve may name the other side, and stand in the
/// order in which they are asked: that of OpenTelemetry's own mapping to Zipkin, with `service.peer.name`, which
/// came to replace `peer.service`, in front, and what only older instrumentation sends behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    ServicePeerName,
    PeerService,
    ServerAddress,
    NetPeerName,
    NetworkPeerAddress,
    NetSockPeerName,
    NetSockPeerAddr,
    NetPeerIp,
    PeerHostname,
    PeerAddress,
    HttpHost,
    DbName,
    // What follows names nobody.
    ServerPort,
    NetworkPeerPort,
    NetSockPeerPort,
    NetPeerPort,
    ClientAddress,
    ClientPort,
    HttpClientIp,
    NetworkLocalAddress,
    NetworkLocalPort,
}

const NAMES: std::ops::RangeInclusive<usize> = Hint::ServicePeerName as usize..=Hint::DbName as usize;
const HINTS: usize = Hint::NetworkLocalPort as usize + 1;

impl Hint {
    fn of(key: &str) -> Option<Self> {
        Some(match key {
            "service.peer.name" => Self::ServicePeerName,
            "peer.service" => Self::PeerService,
            "server.address" => Self::ServerAddress,
            "net.peer.name" => Self::NetPeerName,
            "network.peer.address" => Self::NetworkPeerAddress,
            "net.sock.peer.name" | "server.socket.domain" => Self::NetSockPeerName,
            "net.sock.peer.addr" | "server.socket.address" => Self::NetSockPeerAddr,
            "net.peer.ip" => Self::NetPeerIp,
            "peer.hostname" => Self::PeerHostname,
            "peer.address" => Self::PeerAddress,
            "http.host" => Self::HttpHost,
            "db.name" | "db.namespace" => Self::DbName,
            "server.port" => Self::ServerPort,
            "network.peer.port" => Self::NetworkPeerPort,
            "net.sock.peer.port" | "server.socket.port" => Self::NetSockPeerPort,
            "net.peer.port" => Self::NetPeerPort,
            "client.address" => Self::ClientAddress,
            "client.port" => Self::ClientPort,
            "http.client_ip" => Self::HttpClientIp,
            "network.local.address" => Self::NetworkLocalAddress,
            "network.local.port" => Self::NetworkLocalPort,
            _ => return None,
        })
    }
}

/// What the attributes of a span told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    texts: [Text; HINTS],
    any: bool,
}

impl Peers {
    pub(super) fn clear(&mut self) {
        if self.any {
            *self = Self::default();
        }
    }

    /// Looks at an attribute of the span.
    #[inline]
    pub(super) fn learn(&mut self, key: &str, value: Text) {
        // The first letter and the length keep most keys from being compared with all of them.
        if matches!(
            key.as_bytes(),
            [b's' | b'p' | b'n' | b'h' | b'd' | b'c', _, _, _, _, _, _, ..]
        ) && let Some(hint) = Hint::of(key)
        {
            self.texts[hint as usize] = value;
            self.any = true;
        }
    }

    /// Adds the address and the port of the socket to what the resource says of the local side.
    pub(super) fn local(&self, service: Text, batch: &SpanBatch) -> EndpointDraft {
        if service.is_empty() {
            return EndpointDraft::default();
        }
        let mut local = EndpointDraft {
            service_name: service,
            ..EndpointDraft::default()
        };
        if self.any {
            local.ip = self.ip(&[Hint::NetworkLocalAddress], batch);
            local.port = self.port(&[Hint::NetworkLocalPort], batch);
        }
        local
    }

    /// The other side. A server's is its client, of which addresses are known and rarely a name; a local span has
    /// none.
    pub(super) fn remote(&self, kind: Option<Kind>, batch: &SpanBatch) -> EndpointDraft {
        match kind {
            Some(Kind::Client | Kind::Producer | Kind::Consumer) if self.any => self.callee(batch),
            Some(Kind::Server) if self.any => self.caller(batch),
            _ => EndpointDraft::default(),
        }
    }

    fn callee(&self, batch: &SpanBatch) -> EndpointDraft {
        let named = NAMES.clone().find(|&hint| !self.texts[hint].is_empty());
        let mut callee = EndpointDraft {
            service_name: named.map_or(Text::EMPTY, |hint| self.texts[hint]),
            ip: self.ip(
                &[
                    Hint::NetworkPeerAddress,
                    Hint::NetSockPeerAddr,
                    Hint::NetPeerIp,
                    Hint::PeerAddress,
                    Hint::ServerAddress,
                    Hint::NetPeerName,
                ],
                batch,
            ),
            port: self.port(
                &[
                    Hint::NetworkPeerPort,
                    Hint::NetSockPeerPort,
                    Hint::NetPeerPort,
                    Hint::ServerPort,
                ],
                batch,
            ),
        };
        if named == Some(Hint::HttpHost as usize) {
            let (host, port) = split_port(callee.service_name, batch);
            callee.service_name = host;
            callee.port = if callee.port == 0 { port } else { callee.port };
        }
        callee
    }

    fn caller(&self, batch: &SpanBatch) -> EndpointDraft {
        let service_name = [Hint::ServicePeerName, Hint::PeerService]
            .map(|hint| self.texts[hint as usize])
            .into_iter()
            .find(|name| !name.is_empty());
        let mut caller = EndpointDraft {
            service_name: service_name.unwrap_or_default(),
            ..EndpointDraft::default()
        };
        // A port belongs to its address: that of a proxy says nothing about the client behind it.
        for (address, port) in [
            (Hint::ClientAddress, Some(Hint::ClientPort)),
            (Hint::HttpClientIp, None),
            (Hint::NetworkPeerAddress, Some(Hint::NetworkPeerPort)),
            (Hint::NetSockPeerAddr, Some(Hint::NetSockPeerPort)),
            (Hint::NetPeerIp, Some(Hint::NetPeerPort)),
        ] {
            caller.ip = self.ip(&[address], batch);
            if !caller.ip.is_empty() {
                caller.port = port.map_or(0, |port| self.port(&[port], batch));
                break;
            }
        }
        caller
    }

    /// The first that is an address, and not a name.
    fn ip(&self, hints: &[Hint], batch: &SpanBatch) -> IpAddresses {
        let mut ip = IpAddresses::default();
        for &hint in hints {
            let text = self.texts[hint as usize];
            if !text.is_empty() && ip.insert_text(batch.text(text)) {
                break;
            }
        }
        ip
    }

    /// The first that is a port; zero if none is.
    fn port(&self, hints: &[Hint], batch: &SpanBatch) -> u16 {
        let port = |&hint: &Hint| batch.text(self.texts[hint as usize]).parse().ok();
        hints.iter().filter_map(port).find(|&port| port != 0).unwrap_or(0)
    }
}

/// `host:port` as an HTTP Host header has it, an IPv6 address in brackets.
fn split_port(host: Text, batch: &SpanBatch) -> (Text, u16) {
    let text = batch.text(host);
    match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (Text::new(host.start(), name.len()), port),
            Err(_) => (host, 0),
        },
        _ => (host, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The remote endpoint of a span with these attributes: name, address, port.
    fn remote(kind: Kind, attributes: &[(&str, &str)]) -> (String, String, u16) {
        let mut batch = SpanBatch::new();
        let mut peers = Peers::default();
        for (key, value) in attributes {
            let value = batch.add_text(value);
            peers.learn(key, value);
        }
        let remote = peers.remote(Some(kind), &batch);
        let ip = [
            remote.ip.v4.map(|ip| ip.to_string()),
            remote.ip.v6.map(|ip| ip.to_string()),
        ];
        (
            batch.text(remote.service_name).to_owned(),
            ip.into_iter().flatten().collect(),
            remote.port,
        )
    }

    fn told(name: &str, ip: &str, port: u16) -> (String, String, u16) {
        (name.to_owned(), ip.to_owned(), port)
    }

    #[test]
    fn the_most_telling_attribute_names_the_other_side() {
        let ranked = [
            "service.peer.name",
            "peer.service",
            "server.address",
            "net.peer.name",
            "network.peer.address",
            "server.socket.domain",
            "net.sock.peer.addr",
            "net.peer.ip",
            "peer.hostname",
            "peer.address",
            "http.host",
            "db.namespace",
        ];
        for first in 0..ranked.len() {
            let attributes: Vec<_> = ranked[first..].iter().rev().map(|&key| (key, key)).collect();
            for kind in [Kind::Client, Kind::Producer, Kind::Consumer] {
                assert_eq!(remote(kind, &attributes).0, ranked[first]);
            }
        }
    }

    #[test]
    fn names_of_today_and_of_before_give_the_same_endpoint() {
        let expected = told("shop.example", "10.1.2.3", 8080);
        let today = [
            ("server.address", "shop.example"),
            ("server.port", "80"),
            ("network.peer.address", "10.1.2.3"),
            ("network.peer.port", "8080"),
        ];
        assert_eq!(remote(Kind::Client, &today), expected);
        let before = [
            ("net.peer.name", "shop.example"),
            ("net.peer.port", "80"),
            ("net.sock.peer.addr", "10.1.2.3"),
            ("net.sock.peer.port", "8080"),
        ];
        assert_eq!(remote(Kind::Client, &before), expected);
        let first = [
            ("net.peer.name", "shop.example"),
            ("net.peer.ip", "10.1.2.3"),
            ("net.peer.port", "8080"),
        ];
        assert_eq!(remote(Kind::Client, &first), expected);
    }

    #[test]
    fn an_address_in_place_of_a_name_is_both() {
        let attributes = [("server.address", "2001:db8::1"), ("server.port", "443")];
        assert_eq!(
            remote(Kind::Client, &attributes),
            told("2001:db8::1", "2001:db8::1", 443)
        );
    }

    #[test]
    fn a_host_header_is_split() {
        for (host, name, port) in [
            ("shop:81", "shop", 81),
            ("shop", "shop", 0),
            ("[::1]:82", "[::1]", 82),
            ("[::1]", "[::1]", 0),
            ("shop:http", "shop:http", 0),
        ] {
            assert_eq!(remote(Kind::Client, &[("http.host", host)]), told(name, "", port));
        }
        let both = [("http.host", "shop:81"), ("net.peer.port", "82")];
        assert_eq!(remote(Kind::Client, &both), told("shop", "", 82));
    }

    #[test]
    fn the_remote_side_of_a_server_is_its_client() {
        let own = ("server.address", "me.example");
        let proxied = [
            own,
            ("network.peer.address", "10.0.0.1"),
            ("network.peer.port", "5000"),
            ("client.address", "192.0.2.7"),
        ];
        assert_eq!(remote(Kind::Server, &proxied), told("", "192.0.2.7", 0));
        assert_eq!(remote(Kind::Server, &proxied[..3]), told("", "10.0.0.1", 5000));
        let named = [
            ("client.address", "pc.example"),
            ("net.peer.ip", "10.0.0.2"),
            ("net.peer.port", "1"),
        ];
        assert_eq!(remote(Kind::Server, &named), told("", "10.0.0.2", 1));
        assert_eq!(
            remote(Kind::Server, &[("peer.service", "web")]),
            told("web", "", 0)
        );
        assert_eq!(remote(Kind::Server, &[own]), told("", "", 0));
    }

    #[test]
    fn ports_that_are_none_are_passed_over() {
        let attributes = [
            ("network.peer.port", "70000"),
            ("server.port", "-1"),
            ("net.peer.port", "9"),
        ];
        assert_eq!(remote(Kind::Client, &attributes), told("", "", 9));
    }
}
