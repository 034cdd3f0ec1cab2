//! `client-output-buffer-limit <class> <hard> <soft> <soft seconds> ...`

use super::directive::parse_memory;

/// Classes of clients, as Redis groups them for this directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientClass {
    /// Everybody else.
    Normal,
    /// Replicas.
    Replica,
    /// Subscribers.
    Pubsub,
}

impl ClientClass {
    /// Every class, in the order of `client_output_buffer_limit`.
    pub const ALL: [ClientClass; 3] = [Self::Normal, Self::Replica, Self::Pubsub];

    /// The name CONFIG GET shows: Redis 7.0 says `slave`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Replica => "slave",
            Self::Pubsub => "pubsub",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("replica") {
            return Some(Self::Replica);
        }
        Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name))
    }
}

/// When a client is closed for the replies it does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// At once above this many bytes; 0 = never.
    pub hard_bytes: u64,
    /// After `soft_seconds` above this many bytes; 0 = never.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

impl OutputLimit {
    /// Redis' defaults, in the order of [`ClientClass::ALL`].
    pub const DEFAULTS: [OutputLimit; 3] = [
        OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
        OutputLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 },
        OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 },
    ];
}

/// Changes the classes that `words` name; all or none.
pub(super) fn parse_into(limits: &mut [OutputLimit; 3], words: &[&str]) -> Result<(), String> {
    let (groups, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut changed = *limits;
    for [class, hard, soft, seconds] in groups {
        let class = ClientClass::parse(class)
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        let (Some(hard_bytes), Some(soft_bytes), Ok(soft_seconds)) =
            (parse_memory(hard), parse_memory(soft), seconds.parse())
        else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit \
                        configuration."
                .to_owned());
        };
        changed[class as usize] = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    *limits = changed;
    Ok(())
}

/// As CONFIG GET shows it.
pub(super) fn show(limits: &[OutputLimit; 3]) -> String {
    let one = |(class, limit): (ClientClass, &OutputLimit)| {
        let OutputLimit { hard_bytes, soft_bytes, soft_seconds } = limit;
        format!("{} {hard_bytes} {soft_bytes} {soft_seconds}", class.name())
    };
    ClientClass::ALL.into_iter().zip(limits).map(one).collect::<Vec<_>>().join(" ")
}
