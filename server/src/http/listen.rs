//! Sockets that listen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted, as the kernel allows.
const BACKLOG: u32 = 1024;

/// Without an address: IPv6 and IPv4 in one socket, or IPv4 alone where the machine has no IPv6.
pub(crate) fn listen(address: Option<IpAddr>, port: u16) -> anyhow::Result<TcpListener> {
    let all: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
    let (address, bound) = match address {
        Some(address) => (address, bind(address, port)),
        None => bind(all[0], port).map_or_else(|_| (all[1], bind(all[1], port)), |bound| (all[0], Ok(bound))),
    };
    bound.with_context(|| {
        let address = SocketAddr::new(address, port);
        format!("cannot listen on {address}: is another server using it? LISTEN and QUERY_PORT choose")
    })
}

fn bind(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    // A server that was just stopped leaves connections behind that must not keep the next from starting.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(BACKLOG)
}
