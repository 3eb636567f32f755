//! Small populations made by hand, one rule a test.

mod attribution;
mod contributions;
mod judging;
mod population;
mod shop;
mod surroundings;
