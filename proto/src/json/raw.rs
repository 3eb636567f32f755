//! Where a scalar stands in a text.

/// A string or a number as it stands in the text: 32 bits each of its start and its end, and the highest bit
/// says whether there are escapes. One integer, because results of it are then returned in registers; as a
/// struct it made reading a tenth slower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw(u64);

const _: () = assert!(
    crate::BODY_BYTES_MAX * 3 < 1 << 31,
    "31 bits reach to the end, even of replaced UTF-8"
);

impl Raw {
    const ESCAPED: u64 = 1 << 63;

    pub(super) fn new(start: usize, end: usize, escaped: bool) -> Self {
        Self(start as u64 | (end as u64) << 32 | if escaped { Self::ESCAPED } else { 0 })
    }

    pub(super) fn start(self) -> usize {
        self.0 as u32 as usize
    }

    pub(super) fn end(self) -> usize {
        ((self.0 & !Self::ESCAPED) >> 32) as usize
    }

    pub(super) fn is_escaped(self) -> bool {
        self.0 & Self::ESCAPED != 0
    }
}
