//! The keys of an object that are known beforehand, each told from the others by one comparison of sixteen bytes.

/// A key and what it stands for.
#[derive(Debug)]
pub(crate) struct Key<T> {
    pub(super) name: &'static str,
    /// With its quotes, the first in the lowest byte.
    written: u128,
    /// The bits of [`Key::written`] that count.
    mask: u128,
    pub(super) meaning: T,
}

impl<T> Key<T> {
    /// The longest, without its quotes.
    const NAME_BYTES_MAX: usize = 14;

    /// A key that is written without escapes.
    pub(crate) const fn new(name: &'static str, meaning: T) -> Self {
        let bytes = name.as_bytes();
        assert!(
            bytes.len() <= Self::NAME_BYTES_MAX,
            "two quotes must fit into sixteen bytes as well"
        );
        let mut written = [0; 16];
        let mut mask = [0; 16];
        (written[0], mask[0]) = (b'"', 0xff);
        let mut at = 0;
        while at < bytes.len() {
            (written[at + 1], mask[at + 1]) = (bytes[at], 0xff);
            at += 1;
        }
        (written[at + 1], mask[at + 1]) = (b'"', 0xff);
        Self {
            name,
            written: u128::from_le_bytes(written),
            mask: u128::from_le_bytes(mask),
            meaning,
        }
    }

    /// Bytes of it with its quotes.
    pub(super) const fn length(&self) -> usize {
        self.name.len() + 2
    }

    fn begins(&self, chunk: u128) -> bool {
        chunk & self.mask == self.written
    }
}

/// Which of the keys `chunk` begins with, its first byte the lowest. Looks at those from `first` on before the others.
#[inline]
pub(super) fn find<T>(keys: &[Key<T>], first: usize, chunk: u128) -> Option<usize> {
    let first = first.min(keys.len());
    let found = |keys: &[Key<T>]| keys.iter().position(|key| key.begins(chunk));
    found(&keys[first..])
        .map(|index| first + index)
        .or_else(|| found(&keys[..first]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key<u8>; 3] = [Key::new("id", 1), Key::new("fourteen-bytes", 2), Key::new("i", 3)];

    fn find_in(text: &str, first: usize) -> Option<u8> {
        let mut chunk = [b'x'; 16];
        chunk[..text.len()].copy_from_slice(text.as_bytes());
        find(&KEYS, first, u128::from_le_bytes(chunk)).map(|index| KEYS[index].meaning)
    }

    #[test]
    fn a_key_is_found_wherever_the_search_begins() {
        for first in 0..5 {
            assert_eq!(find_in("\"id\":", first), Some(1));
            assert_eq!(find_in("\"fourteen-bytes\"", first), Some(2));
            assert_eq!(find_in("\"i\"", first), Some(3));
            for other in ["\"ID\":", "\"id", "id\":", "\"fourteen-byteS\"", "\"\""] {
                assert_eq!(find_in(other, first), None, "{other}");
            }
        }
    }
}
