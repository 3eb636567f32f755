//! Bytes that are only added, never changed, and all given back at once.

use std::num::NonZeroU64;

/// The largest chunk that takes several pieces: what a shard may hold that nothing is in yet.
const CHUNK_BYTES: usize = 32 << 10;
/// The first chunk. Each further one is twice as large: a store without traffic holds little.
const FIRST_CHUNK_BYTES: usize = 1 << 10;
/// Pieces larger than this have a chunk to themselves, so that not much is left over in the others.
const SHARED_BYTES_MAX: usize = CHUNK_BYTES / 8;

/// Where a piece is, + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address(NonZeroU64);

impl Address {
    fn new(chunk: usize, offset: usize) -> Self {
        Self(NonZeroU64::MIN.saturating_add((chunk * CHUNK_BYTES + offset) as u64))
    }

    /// As a number, small for pieces added early; 0 for none.
    pub(super) fn number_of(address: Option<Self>) -> u64 {
        address.map_or(0, |address| address.0.get())
    }

    /// The reverse of [`Address::number_of`].
    pub(super) fn of_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    fn chunk(self) -> usize {
        ((self.0.get() - 1) / CHUNK_BYTES as u64) as usize
    }

    fn offset(self) -> usize {
        ((self.0.get() - 1) % CHUNK_BYTES as u64) as usize
    }
}

/// Pieces of bytes, each whole in one chunk.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
    /// The chunk that takes pieces, and the bytes the next one has.
    open: Option<usize>,
    next_bytes: usize,
}

impl Arena {
    /// Adds a piece that comes in two parts; gives where it is, and the memory that took, bytes.
    pub(super) fn add(&mut self, start: &[u8], rest: &[u8]) -> (Address, usize) {
        let length = start.len() + rest.len();
        let has_room = |&number: &usize| {
            let chunk = &self.chunks[number];
            chunk.capacity() - chunk.len() >= length
        };
        let (number, grown) = match self.open.filter(has_room) {
            Some(number) => (number, 0),
            None => self.add_chunk(length),
        };
        let chunk = &mut self.chunks[number];
        let address = Address::new(number, chunk.len());
        chunk.extend_from_slice(start);
        chunk.extend_from_slice(rest);
        (address, grown)
    }

    /// Makes room for a piece; gives the number of its chunk, and the chunk's bytes.
    fn add_chunk(&mut self, length: usize) -> (usize, usize) {
        let number = self.chunks.len();
        let is_shared = length <= SHARED_BYTES_MAX;
        let bytes = if is_shared {
            let bytes = self.next_bytes.clamp(FIRST_CHUNK_BYTES, CHUNK_BYTES);
            self.next_bytes = bytes * 2;
            self.open = Some(number);
            bytes.max(length)
        } else {
            length
        };
        let chunk = Vec::with_capacity(bytes);
        let grown = chunk.capacity();
        self.chunks.push(chunk);
        (number, grown)
    }

    /// What was added, a chunk at a time, each piece in one; nothing from some number on.
    pub(super) fn chunk(&self, number: usize) -> Option<&[u8]> {
        self.chunks.get(number).map(Vec::as_slice)
    }

    /// What was added at an address, and perhaps more that was added later.
    pub(super) fn at(&self, address: Address) -> &[u8] {
        let chunk = self.chunks.get(address.chunk());
        chunk
            .and_then(|chunk| chunk.get(address.offset()..))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_where_they_are() {
        let mut arena = Arena::default();
        let piece = |number: usize| {
            let length = if number % 500 == 7 {
                CHUNK_BYTES * 3
            } else {
                number % 300
            };
            vec![number as u8; length]
        };
        let mut memory = 0;
        let added: Vec<Address> = (0..5000)
            .map(|number| {
                let piece = piece(number);
                let (start, rest) = piece.split_at(piece.len() / 3);
                let (address, grown) = arena.add(start, rest);
                memory += grown;
                address
            })
            .collect();
        for (number, &address) in added.iter().enumerate() {
            let piece = piece(number);
            let again = Address::of_number(Address::number_of(Some(address)));
            assert_eq!(again, Some(address));
            assert_eq!(arena.at(address)[..piece.len()], piece);
        }
        let bytes: usize = (0..5000).map(|number| piece(number).len()).sum();
        assert!(
            memory >= bytes && memory < bytes + bytes / 10,
            "{memory} for {bytes}"
        );
    }

    #[test]
    fn little_takes_little() {
        let (_, grown) = Arena::default().add(b"a", b"span");
        assert!(grown <= 1024);
    }
}
