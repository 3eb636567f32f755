//! What arranging, timing and linking a trace goes by, and the least that has it.
//!
//! Those rules need no texts but the names of services, and of those only which are the same. So they are written for
//! any [`TraceNode`]: a [`Span`] as it is, or a [`SpanOutline`] that names services by number. What is done for every
//! trace that is stored is done on outlines.

use std::borrow::Borrow;

use crate::{Endpoint, IpAddresses, Kind, Span, SpanId};

/// A span as far as the shape of its trace depends on it.
pub trait TraceNode {
    /// The name of a service.
    type Name: ?Sized + Eq;
    /// Who recorded a span. The order has no meaning but to find equal ones.
    type Place: Ord;

    /// Its identifier.
    fn id(&self) -> SpanId;
    /// The identifier of the span that caused it.
    fn parent_id(&self) -> Option<SpanId>;
    /// Which side of what it is.
    fn kind(&self) -> Option<Kind>;
    /// Whether it is the server's half of a span that the client began.
    fn shared(&self) -> bool;
    /// When it began, microseconds since the epoch.
    fn timestamp(&self) -> Option<u64>;
    /// How long it took, microseconds.
    fn duration(&self) -> Option<u64>;
    /// Whether it failed, see [`Span::is_error`].
    fn is_error(&self) -> bool;
    /// Who recorded it.
    fn place(&self) -> Option<&Self::Place>;
    /// The name of the service that recorded it.
    fn local_name(&self) -> Option<&Self::Name>;
    /// The name of the service on the other side.
    fn remote_name(&self) -> Option<&Self::Name>;
}

impl<S: Borrow<Span>> TraceNode for S {
    type Name = str;
    type Place = Endpoint;

    fn id(&self) -> SpanId {
        self.borrow().id
    }

    fn parent_id(&self) -> Option<SpanId> {
        self.borrow().parent_id
    }

    fn kind(&self) -> Option<Kind> {
        self.borrow().kind
    }

    fn shared(&self) -> bool {
        self.borrow().shared
    }

    fn timestamp(&self) -> Option<u64> {
        self.borrow().timestamp
    }

    fn duration(&self) -> Option<u64> {
        self.borrow().duration
    }

    fn is_error(&self) -> bool {
        self.borrow().is_error()
    }

    fn place(&self) -> Option<&Endpoint> {
        self.borrow().local_endpoint.as_ref()
    }

    fn local_name(&self) -> Option<&str> {
        self.borrow().local_service_name()
    }

    fn remote_name(&self) -> Option<&str> {
        self.borrow().remote_service_name()
    }
}

/// The number of a service's name, given by whoever makes outlines: equal names, and no others, have equal numbers.
pub type NameNumber = u32;

/// A span without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanOutline {
    /// As [`Span::id`].
    pub id: SpanId,
    /// As [`Span::parent_id`].
    pub parent_id: Option<SpanId>,
    /// As [`Span::kind`].
    pub kind: Option<Kind>,
    /// As [`Span::shared`].
    pub shared: bool,
    /// As [`Span::timestamp`].
    pub timestamp: Option<u64>,
    /// As [`Span::duration`].
    pub duration: Option<u64>,
    /// As [`Span::is_error`].
    pub is_error: bool,
    /// As [`Span::local_endpoint`].
    pub place: Option<Place>,
    /// As [`Span::remote_service_name`].
    pub remote_name: Option<NameNumber>,
    /// Tells the maker of outlines which span it is of.
    pub index: u32,
}

/// An endpoint whose name is a number; at least one field is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The service's name.
    pub name: Option<NameNumber>,
    /// Its addresses.
    pub ip: IpAddresses,
    /// Its port, 0 when absent.
    pub port: u16,
}

impl Place {
    /// `Some` unless nothing is known of it.
    pub fn into_option(self) -> Option<Self> {
        Some(self).filter(|place| *place != Self::default())
    }
}

impl TraceNode for SpanOutline {
    type Name = NameNumber;
    type Place = Place;

    fn id(&self) -> SpanId {
        self.id
    }

    fn parent_id(&self) -> Option<SpanId> {
        self.parent_id
    }

    fn kind(&self) -> Option<Kind> {
        self.kind
    }

    fn shared(&self) -> bool {
        self.shared
    }

    fn timestamp(&self) -> Option<u64> {
        self.timestamp
    }

    fn duration(&self) -> Option<u64> {
        self.duration
    }

    fn is_error(&self) -> bool {
        self.is_error
    }

    fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    fn local_name(&self) -> Option<&NameNumber> {
        self.place.as_ref()?.name.as_ref()
    }

    fn remote_name(&self) -> Option<&NameNumber> {
        self.remote_name.as_ref()
    }
}
