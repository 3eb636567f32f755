//! Where the instances of a service are just now, as callers find them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use parking_lot::RwLock;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::topology::Service;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By service, one after another.
    addresses: RwLock<BTreeMap<Service, Vec<SocketAddr>>>,
}

impl Directory {
    pub(crate) fn add(&self, service: Service, address: SocketAddr) {
        self.addresses.write().entry(service).or_default().push(address);
    }

    /// It is at these from now on.
    pub(crate) fn set(&self, service: Service, of_service: Vec<SocketAddr>) {
        self.addresses.write().insert(service, of_service);
    }

    /// Where it is, one address for each of its instances.
    pub(crate) fn all_of(&self, service: Service) -> Vec<SocketAddr> {
        self.addresses.read().get(&service).cloned().unwrap_or_default()
    }

    /// Requests go to `new` from now on instead of where they went.
    pub(crate) fn replace(&self, service: Service, old: SocketAddr, new: SocketAddr) {
        let mut addresses = self.addresses.write();
        let of_service = addresses.entry(service).or_default();
        for address in of_service.iter_mut().filter(|address| **address == old) {
            *address = new;
        }
    }

    /// Any of them; `None` before there is one.
    pub(crate) fn pick(&self, service: Service, random: &mut Xoshiro256PlusPlus) -> Option<SocketAddr> {
        let addresses = self.addresses.read();
        let of_service = addresses.get(&service).filter(|all| !all.is_empty())?;
        of_service.get(random.random_range(0..of_service.len())).copied()
    }
}
