//! Named scenarios for any RESP server. One line here adds one.

use crate::load::{Keys, Mix, Order, Role, Template, named};

/// One role of a scenario.
#[derive(Debug)]
pub struct Shape {
    /// Verbs with their weights.
    pub mix: &'static [(&'static str, u32)],
    /// Connections.
    pub connections: usize,
    /// Requests of one connection without a reply.
    pub pipeline: usize,
    /// Number of keys.
    pub keys: u64,
    /// How they are chosen.
    pub order: Order,
    /// Bytes of a value.
    pub value_bytes: usize,
}

/// A load with a name.
#[derive(Debug)]
pub struct Scenario {
    /// As `run --scenario` calls it.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Who asks for what; percentiles are the first one's.
    pub shapes: &'static [Shape],
}

const PLAIN: Shape = Shape {
    mix: &[("get", 1)],
    connections: 50,
    pipeline: 1,
    keys: 100_000,
    order: Order::Uniform,
    value_bytes: 64,
};
const ZIPF: Order = Order::Zipf(0.99);

/// Every scenario.
pub static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ping",
        about: "PING: what a request costs that does nothing",
        shapes: &[Shape { mix: &[("ping", 1)], ..PLAIN }],
    },
    Scenario { name: "get", about: "GET of 64 B values", shapes: &[PLAIN] },
    Scenario {
        name: "set",
        about: "SET of 64 B values",
        shapes: &[Shape { mix: &[("set", 1)], ..PLAIN }],
    },
    Scenario {
        name: "get-pipelined",
        about: "GET, 16 requests in flight per connection",
        shapes: &[Shape { pipeline: 16, ..PLAIN }],
    },
    Scenario {
        name: "set-pipelined",
        about: "SET, 16 requests in flight per connection",
        shapes: &[Shape { mix: &[("set", 1)], pipeline: 16, ..PLAIN }],
    },
    Scenario {
        name: "mixed",
        about: "4 GET to 1 SET, all keys alike",
        shapes: &[Shape { mix: &[("get", 4), ("set", 1)], ..PLAIN }],
    },
    Scenario {
        name: "cache",
        about: "9 GET to 1 SET of 256 B, a few keys asked for most (zipf 0.99)",
        shapes: &[Shape {
            mix: &[("get", 9), ("set", 1)],
            order: ZIPF,
            keys: 1_000_000,
            value_bytes: 256,
            ..PLAIN
        }],
    },
    Scenario {
        name: "sessions",
        about: "4 GET, 1 SET with a deadline, 1 EXPIRE, 1 TTL",
        shapes: &[Shape {
            mix: &[("get", 4), ("setex", 1), ("expire", 1), ("ttl", 1)],
            order: ZIPF,
            value_bytes: 512,
            ..PLAIN
        }],
    },
    Scenario {
        name: "counters",
        about: "INCR, a few counters most (zipf 0.99)",
        shapes: &[Shape { mix: &[("incr", 1)], order: ZIPF, ..PLAIN }],
    },
    Scenario {
        name: "multi-key",
        about: "MGET and MSET of ten keys each",
        shapes: &[Shape { mix: &[("mget", 1), ("mset", 1)], ..PLAIN }],
    },
    Scenario {
        name: "large",
        about: "4 GET to 1 SET of 16 KiB values",
        shapes: &[Shape {
            mix: &[("get", 4), ("set", 1)],
            keys: 10_000,
            value_bytes: 16 * 1024,
            ..PLAIN
        }],
    },
    Scenario {
        name: "readers-writers",
        about: "50 readers beside 8 writers; percentiles are the readers'",
        shapes: &[PLAIN, Shape { mix: &[("set", 1)], connections: 8, ..PLAIN }],
    },
    Scenario {
        name: "queues",
        about: "LPUSH and RPOP on 1000 lists",
        shapes: &[Shape { mix: &[("lpush", 1), ("rpop", 1)], keys: 1000, ..PLAIN }],
    },
    Scenario {
        name: "hashes",
        about: "4 HGET to 1 HSET",
        shapes: &[Shape { mix: &[("hget", 4), ("hset", 1)], ..PLAIN }],
    },
    Scenario {
        name: "leaderboards",
        about: "ZADD and ZRANGE of ten on 100 sorted sets",
        shapes: &[Shape { mix: &[("zadd", 1), ("zrange", 1)], keys: 100, ..PLAIN }],
    },
    Scenario {
        name: "streams",
        about: "XADD to 100 streams of about 1000 entries",
        shapes: &[Shape { mix: &[("xadd", 1)], keys: 100, ..PLAIN }],
    },
];

/// The named scenario.
///
/// # Errors
/// A sentence with all names, when there is none.
pub fn find(name: &str) -> Result<&'static Scenario, String> {
    SCENARIOS.iter().find(|s| s.name == name).ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
        format!("no scenario is called {name:?}; there are {}", names.join(", "))
    })
}

/// `get=4,set=1`, `get`: verbs with weights.
///
/// # Errors
/// A sentence about what is wrong with it.
pub fn parse_mix(text: &str) -> Result<Vec<(Template, u32)>, String> {
    let part = |part: &str| {
        let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
        let weight = weight
            .parse()
            .map_err(|_| format!("{part}: the weight of a verb is a number, as in get=4,set=1"))?;
        Ok((Template::parse(named(name)?.template)?, weight))
    };
    text.split(',').map(part).collect()
}

/// What fills the data set of a mix: the filling verbs of its verbs, each once.
///
/// # Errors
/// None for the verbs of the table.
pub fn fillings(mix: &Mix) -> Result<Vec<Mix>, String> {
    let verbs = mix.parts().iter().filter_map(|(template, _)| {
        crate::load::VERBS.iter().find(|v| v.template == template.text)?.filled_by
    });
    let mut names: Vec<&str> = verbs.collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(Mix::of).collect()
}

impl Shape {
    /// The role it describes.
    ///
    /// # Errors
    /// None for the shapes of the table.
    pub fn role(&self) -> Result<Role, String> {
        let part =
            |&(name, weight): &(&str, u32)| Ok((Template::parse(named(name)?.template)?, weight));
        let parts = self.mix.iter().map(part).collect::<Result<_, String>>()?;
        Ok(Role {
            connections: self.connections,
            pipeline: self.pipeline,
            mix: Mix::new(parts)?,
            keys: Keys::new(self.keys, self.order),
            value_bytes: self.value_bytes,
            rate: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_built_and_is_found_by_its_name() {
        for scenario in SCENARIOS {
            assert!(std::ptr::eq(find(scenario.name).expect("it is there"), scenario));
            for shape in scenario.shapes {
                let role = shape.role().expect(scenario.name);
                assert!(fillings(&role.mix).is_ok());
            }
        }
        assert!(find("gett").expect_err("no such one").contains("readers-writers"));
    }

    #[test]
    fn mixes_are_read_and_what_is_none_is_refused() {
        let mix = parse_mix("get=4,set").and_then(Mix::new).expect("a mix");
        assert_eq!(mix.to_string(), "get=4,set=1");
        let fillings = fillings(&mix).expect("verbs of the table");
        assert_eq!(fillings, [Mix::of("set").expect("a verb")]);
        assert!(parse_mix("get=x").expect_err("no weight").contains("get=4,set=1"));
        assert!(parse_mix("got").is_err());
        assert!(parse_mix("get=0").and_then(Mix::new).is_err());
    }
}
