//! What becomes of a whole trace: merged, arranged as a tree, linked, and cut into pieces of time.

mod crisp;
mod critical_path;
mod linker;
mod merge;
mod outlines;
mod spans;
mod tree;
