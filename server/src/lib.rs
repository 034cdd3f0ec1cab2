//! Quire's server.
