//! Small populations made by hand, one rule a test.

mod attribution;
mod judging;
mod population;
mod shop;
