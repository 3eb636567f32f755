//! The Tracehound server.
fn main() {}
