//! Positions that no record on disk has, so that a journal is not called full of what it does not hold.

use std::collections::VecDeque;

/// Ranges of positions after the checkpoint without records: refused by the disk, or skipped at an opening.
///
/// Between two ranges lies at least one record, so there are never more of them than records.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    ranges: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Gaps {
    /// Adds a range, which begins at or after the end of the last.
    pub(crate) fn add(&mut self, start: u64, end: u64) {
        debug_assert!(start <= end && self.ranges.back().is_none_or(|last| last.1 <= start));
        self.bytes += end - start;
        match self.ranges.back_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ if start == end => {}
            _ => self.ranges.push_back((start, end)),
        }
    }

    /// Forgets what lies before a position.
    pub(crate) fn forget_before(&mut self, position: u64) {
        while let Some((start, end)) = self.ranges.front_mut() {
            let forgotten = position.min(*end).saturating_sub(*start);
            self.bytes -= forgotten;
            *start += forgotten;
            if start < end {
                break;
            }
            self.ranges.pop_front();
        }
    }

    /// Bytes of positions in all ranges.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_counted_and_forgotten() {
        let mut gaps = Gaps::default();
        gaps.add(10, 20);
        gaps.add(20, 30);
        gaps.add(30, 30);
        gaps.add(40, 50);
        assert_eq!((gaps.bytes(), gaps.ranges.len()), (30, 2));
        gaps.forget_before(5);
        assert_eq!(gaps.bytes(), 30);
        gaps.forget_before(15);
        assert_eq!(gaps.bytes(), 25);
        gaps.forget_before(45);
        assert_eq!((gaps.bytes(), gaps.ranges.len()), (5, 1));
        gaps.forget_before(100);
        assert_eq!((gaps.bytes(), gaps.ranges.len()), (0, 0));
    }
}
