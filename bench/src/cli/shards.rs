//! `quire-bench shards`.

use std::{io, net::SocketAddr};

use clap::Args;

use super::{Measuring, Verdict, order, positive};
use crate::{
    catalog,
    external::LoadTool,
    load::{Keys, Mix, Order, Role},
    report,
    shards::{self, Plan},
    target,
};

#[derive(Args)]
pub struct Arguments {
    /// The server, HOST:PORT.
    #[arg(long, default_value = "127.0.0.1:6379", value_parser = target::resolve)]
    target: SocketAddr,
    /// Only these shards, as in 0,2.
    #[arg(long, value_delimiter = ',')]
    shard: Vec<usize>,
    /// Verbs with weights, as in get=4,set=1; `quire-bench scenarios` lists them.
    #[arg(long, default_value = "set")]
    mix: String,
    /// Connections.
    #[arg(long, default_value_t = 50, value_parser = positive)]
    connections: usize,
    /// Requests of one connection without a reply.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pipeline: usize,
    /// Number of keys on every shard.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    keys: u64,
    /// uniform, sequential, zipf or zipf:EXPONENT.
    #[arg(long, default_value = "uniform", value_parser = order)]
    distribution: Order,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
    #[command(flatten)]
    measuring: Measuring,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn act(self) -> io::Result<Verdict> {
        let mix = catalog::parse_mix(&self.mix).and_then(Mix::new).map_err(io::Error::other)?;
        let plan = Plan {
            addr: self.target,
            only: self.shard,
            role: Role {
                connections: self.connections,
                pipeline: self.pipeline,
                mix,
                keys: Keys::new(self.keys, self.distribution),
                value_bytes: self.value_bytes,
                rate: None,
            },
            rounds: self.measuring.rounds(),
            settings: self.measuring.settings(LoadTool::Own),
        };
        let (row, environment) = plan.run()?;
        let verdict = if report::has_errors(std::slice::from_ref(&row)) {
            Verdict::ErrorReplies
        } else {
            Verdict::Fine
        };
        if self.json {
            println!("{}", shards::json(&row, environment));
        } else {
            print!("{}", report::table(&[row]));
        }
        Ok(verdict)
    }
}
