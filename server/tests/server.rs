//! The single test binary of the server.
