//! Recovery on the simulated disk: hand-built broken directories, crashes in the middle of it.

pub mod builder; // segments and directories, byte by byte
