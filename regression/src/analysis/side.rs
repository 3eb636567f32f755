//! The two sides of a comparison, by name.

use crate::statistics::Arms;

/// On which side a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Side {
    Baseline,
    Candidate,
}

impl Side {
    pub(super) fn of<T>(self, arms: &Arms<T>) -> &T {
        match self {
            Self::Baseline => &arms.baseline,
            Self::Candidate => &arms.candidate,
        }
    }

    pub(super) fn of_mut<T>(self, arms: &mut Arms<T>) -> &mut T {
        match self {
            Self::Baseline => &mut arms.baseline,
            Self::Candidate => &mut arms.candidate,
        }
    }
}
