//! Placeholder entry until the bench lands.
fn main() {}
