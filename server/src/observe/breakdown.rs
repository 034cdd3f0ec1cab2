//! Where the memory goes, as INFO and MEMORY STATS tell it, and what MEMORY DOCTOR makes of it.
//!
//! As in Redis: overhead is what the server takes without any value (what it took at the start,
//! clients, the log's buffers, tables); the data set is the rest.

use super::memory::Memory;
use crate::runtime::shared::Shared;
use quire_engine::aof;
use std::fmt::Write as _;

/// Below this nothing can be said, bytes.
const TOO_LITTLE: u64 = 5 << 20;
/// Less than this is nobody's trouble, bytes.
const WORTH_MENTION: u64 = 10 << 20;
/// More than this for each client is much, bytes.
const CLIENT_IS_BIG: u64 = 200 << 10;

/// One database that has keys.
pub struct DatabasePart {
    /// Its number.
    pub db: usize,
    /// Bytes of its tables.
    pub tables: u64,
    /// Bytes of its index of deadlines.
    pub deadlines: u64,
}

/// Figures of one moment, bytes unless said otherwise.
pub struct Breakdown {
    /// What the allocator and the kernel say.
    pub memory: Memory,
    /// What clients take.
    pub clients: u64,
    /// How many there are.
    pub client_count: u64,
    /// The log's buffers.
    pub log: u64,
    /// Databases with keys.
    pub databases: Vec<DatabasePart>,
    /// Keys.
    pub keys: u64,
    /// Texts of scripts.
    pub scripts: u64,
    /// Texts of function libraries.
    pub functions: u64,
}

/// `a / b`; 0 when there is nothing to compare with.
pub fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

impl Breakdown {
    /// Samples the allocator and sums what the cores have published; `used` as in
    /// [`Memory::sample`].
    pub fn of(shared: &Shared, used: u64) -> Self {
        let keys = |db: usize| shared.sum(|s| &s.keys[db]);
        let databases = (0..shared.options.databases)
            .filter(|&db| keys(db) > 0)
            .map(|db| DatabasePart {
                db,
                tables: shared.sum(|s| &s.table_bytes[db]),
                deadlines: shared.sum(|s| &s.deadline_bytes[db]),
            })
            .collect();
        Self {
            memory: Memory::sample(used),
            clients: shared.sum(|s| &s.client_bytes),
            client_count: shared.sum(|s| &s.clients),
            log: aof::buffer_bytes() as u64,
            databases,
            keys: (0..shared.options.databases).map(keys).sum(),
            scripts: shared.scripts.figures().1,
            functions: shared.libraries.bytes(),
        }
    }

    /// What is no value.
    pub fn overhead(&self) -> u64 {
        let tables: u64 = self.databases.iter().map(|part| part.tables + part.deadlines).sum();
        self.memory.startup + self.clients + self.log + tables
    }

    /// Keys and values.
    pub fn dataset(&self) -> u64 {
        self.memory.used.saturating_sub(self.overhead())
    }

    /// The data set's part of what came after the start, percent.
    pub fn dataset_percent(&self) -> f64 {
        100.0 * ratio(self.dataset(), self.memory.used.saturating_sub(self.memory.startup))
    }

    /// MEMORY DOCTOR.
    pub fn diagnosis(&self) -> String {
        let memory = &self.memory;
        if memory.used < TOO_LITTLE {
            return "This server uses very little memory: there is nothing to say about it yet. \
                    Ask again once it holds data.\n"
                .to_owned();
        }
        let mut findings = String::new();
        let mut find = |is_so: bool, text: String| {
            if is_so {
                // Writing to a String cannot fail.
                let _ = writeln!(findings, " * {text}\n");
            }
        };
        let exceeds =
            |a: u64, b: u64, by: f64| ratio(a, b) > by && a.saturating_sub(b) > WORTH_MENTION;
        find(
            ratio(memory.peak, memory.used) > 1.5,
            format!(
                "Peak: the server once used {:.1} times what it uses now. The process may still \
                 hold pages of that time; MEMORY PURGE gives back those that are not used at all.",
                ratio(memory.peak, memory.used)
            ),
        );
        find(
            exceeds(memory.active, memory.allocated, 1.1),
            format!(
                "Fragmentation: the allocator uses {:.2} times the pages its allocations would \
                 fill. Usually values of other sizes were stored before; a restart packs anew.",
                ratio(memory.active, memory.allocated)
            ),
        );
        find(
            exceeds(memory.resident, memory.active, 1.1),
            format!(
                "Unused pages: the allocator holds {:.2} times the pages it uses. It gives them \
                 back with time; MEMORY PURGE does so now.",
                ratio(memory.resident, memory.active)
            ),
        );
        find(
            exceeds(memory.rss, memory.resident, 1.1),
            format!(
                "Other memory: the process holds {:.2} times what its allocator does: threads' \
                 stacks, rings, mapped files.",
                ratio(memory.rss, memory.resident)
            ),
        );
        let per_client = self.clients / self.client_count.max(1);
        find(
            per_client > CLIENT_IS_BIG,
            format!(
                "Clients: each of {} takes {} bytes on average. Look for clients that send huge \
                 commands or do not read their replies with CLIENT LIST (tot-mem, omem); \
                 maxmemory-clients and client-output-buffer-limit bound them.",
                self.client_count, per_client
            ),
        );
        if findings.is_empty() {
            return "No trouble found: memory is used as it should be.\n".to_owned();
        }
        format!("What was found in this server's use of memory:\n\n{findings}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakdown(memory: Memory) -> Breakdown {
        let databases = vec![DatabasePart { db: 0, tables: 100, deadlines: 20 }];
        let (client_count, keys, scripts, functions) = (1, 1, 0, 0);
        Breakdown { memory, clients: 3, client_count, log: 7, databases, keys, scripts, functions }
    }

    #[test]
    fn the_data_set_is_what_no_overhead_explains() {
        let memory = Memory { used: 1130, startup: 800, ..Memory::default() };
        let parts = breakdown(memory);
        assert_eq!((parts.overhead(), parts.dataset()), (930, 200));
        assert!((parts.dataset_percent() - 100.0 * 200.0 / 330.0).abs() < 1e-9);
    }

    #[test]
    fn the_doctor_names_what_is_out_of_proportion() {
        let of = |memory| breakdown(memory).diagnosis();
        let mega = |n: u64| n << 20;
        let healthy = Memory {
            used: mega(100),
            allocated: mega(101),
            peak: mega(101),
            active: mega(104),
            resident: mega(106),
            rss: mega(108),
            ..Memory::default()
        };
        assert!(of(Memory::default()).contains("very little memory"));
        assert!(of(healthy).starts_with("No trouble"));
        let found = |memory: Memory| {
            let text = of(memory);
            ["Peak:", "Fragmentation:", "Unused pages:", "Other memory:", "Clients:"]
                .map(|name| text.contains(name))
        };
        let peak = Memory { peak: mega(200), ..healthy };
        assert_eq!(found(peak), [true, false, false, false, false]);
        let fragmented =
            Memory { active: mega(150), resident: mega(152), rss: mega(154), ..healthy };
        assert_eq!(found(fragmented), [false, true, false, false, false]);
        let unused = Memory { resident: mega(150), rss: mega(152), ..healthy };
        assert_eq!(found(unused), [false, false, true, false, false]);
        assert_eq!(found(Memory { rss: mega(150), ..healthy }), [false, false, false, true, false]);
        let clients = Breakdown { clients: mega(1), ..breakdown(healthy) };
        assert!(clients.diagnosis().contains("Clients:"));
    }
}
