//! What becomes of a whole trace: merged, arranged as a tree, linked, and cut into pieces of time.

mod crisp;
mod critical_path;
mod linker;
mod merge;
mod outlines;
mod profile;
mod profile_exact;
mod profile_real;
mod spans;
mod tree;
