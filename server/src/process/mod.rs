//! What the server is to its machine: a process with a title, a file with its number, somebody
//! who supervises it, a place in the kernel's list of victims, and a report when it crashes.

pub mod banner;
pub mod crash;
pub mod kernel;
pub mod notify;
pub mod pidfile;
pub mod title;
