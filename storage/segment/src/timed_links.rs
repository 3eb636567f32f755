//! Links with the times they count at, packed: some twenty bytes a trace, and read from one end to the other.
//!
//! ```text
//! entry = time as zigzag from the entry before, number of links varint,
//!         links: (number << 1 | one call without an error) varint, [calls zigzag, errors zigzag]
//! ```

use storage_record::bytes::{Cursor, Malformed, Put};

use crate::link_sums::Counted;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimedLinks {
    bytes: Vec<u8>,
    last: u64,
}

impl TimedLinks {
    /// Adds an entry. What a time means is the caller's.
    pub(crate) fn push(&mut self, time: u64, links: &[Counted]) {
        self.bytes.put_zigzag(time.wrapping_sub(self.last) as i64);
        put_links(&mut self.bytes, links);
        self.last = time;
    }

    /// No more entries come.
    pub(crate) fn finish(mut self) -> Self {
        self.bytes.shrink_to_fit();
        self
    }

    /// Gives `add` the links of all entries whose time is `wanted`.
    pub(crate) fn visit(&self, wanted: impl Fn(u64) -> bool, mut add: impl FnMut(Counted)) {
        let mut read = || {
            let mut cursor = Cursor::new(&self.bytes);
            let mut time = 0u64;
            while !cursor.is_empty() {
                time = time.wrapping_add(cursor.zigzag()? as u64);
                let is_wanted = wanted(time);
                read_links(&mut cursor, |counted| {
                    if is_wanted {
                        add(counted);
                    }
                })?;
            }
            Ok(())
        };
        tell(read());
    }

    /// Memory it takes beside itself.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Appends links, as in an entry, without a time.
pub(crate) fn put_links(bytes: &mut Vec<u8>, links: &[Counted]) {
    bytes.put_varint(links.len() as u64);
    for counted in links {
        let is_one = (counted.calls, counted.errors) == (1, 0);
        bytes.put_varint(u64::from(counted.link) << 1 | u64::from(is_one));
        if !is_one {
            bytes.put_zigzag(counted.calls.into());
            bytes.put_zigzag(counted.errors.into());
        }
    }
}

/// Gives `visit` the links at the beginning of `bytes`; gives how many bytes they take.
pub(crate) fn visit_links(bytes: &[u8], visit: impl FnMut(Counted)) -> usize {
    let mut cursor = Cursor::new(bytes);
    tell(read_links(&mut cursor, visit));
    bytes.len() - cursor.remaining()
}

fn read_links(cursor: &mut Cursor<'_>, mut visit: impl FnMut(Counted)) -> Result<(), Malformed> {
    for _ in 0..cursor.varint()? {
        let link = cursor.varint()?;
        let (calls, errors) = match link & 1 {
            1 => (1, 0),
            _ => (cursor.zigzag()? as i32, cursor.zigzag()? as i32),
        };
        let link = (link >> 1) as u32;
        visit(Counted { link, calls, errors });
    }
    Ok(())
}

/// The bytes were made in this process: a failure is a mistake above.
fn tell(read: Result<(), Malformed>) {
    debug_assert!(read.is_ok(), "links that cannot be read: {read:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted() -> impl Strategy<Value = Counted> {
        (any::<u32>(), prop_oneof![Just((1, 0)), any::<(i32, i32)>()])
            .prop_map(|(link, (calls, errors))| Counted { link, calls, errors })
    }

    proptest! {
        #[test]
        fn gives_back_what_was_put_in(
            entries in prop::collection::vec((any::<u64>(), prop::collection::vec(counted(), 0..4)), 0..8),
            bound in any::<u64>(),
        ) {
            let mut links = TimedLinks::default();
            entries.iter().for_each(|(time, counted)| links.push(*time, counted));
            let links = links.finish();
            let mut found = Vec::new();
            links.visit(|time| time <= bound, |counted| found.push(counted));
            let wanted = entries.iter().filter(|entry| entry.0 <= bound);
            prop_assert_eq!(found, wanted.flat_map(|entry| entry.1.clone()).collect::<Vec<_>>());
        }
    }
}
