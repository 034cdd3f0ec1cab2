//! From a configuration to a running server, and to its end.
