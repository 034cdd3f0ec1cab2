//! `maxmemory-clients`: bytes, or a share of `maxmemory`.

use super::directive::parse_memory;

/// Most memory that all clients may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientsLimit {
    /// So many bytes; 0 = no limit.
    Bytes(u64),
    /// So many percent of `maxmemory`; no limit while that has none.
    Percent(u8),
}

impl Default for ClientsLimit {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl ClientsLimit {
    /// The limit in bytes, 0 = none.
    pub fn bytes(self, maxmemory: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(share) => (u128::from(maxmemory) * u128::from(share) / 100) as u64,
        }
    }

    /// From its text.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "argument must be a memory or percent value";
        if let Some(percent) = text.strip_suffix('%') {
            let percent: u8 = percent.parse().map_err(|_| WRONG)?;
            if percent > 100 {
                return Err("percentage argument must be less or equal to 100");
            }
            return Ok(Self::Percent(percent));
        }
        parse_memory(text).map(Self::Bytes).ok_or(WRONG)
    }

    /// As CONFIG GET shows it.
    pub(super) fn show(self) -> String {
        match self {
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Percent(share) => format!("{share}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_share_of_maxmemory() {
        let limit = |text| ClientsLimit::parse(text).map(|limit| limit.bytes(10_000));
        assert_eq!(limit("5%"), Ok(500));
        assert_eq!(limit("1kb"), Ok(1024));
        assert_eq!(limit("0"), Ok(0));
        assert!(limit("101%").is_err() && limit("x%").is_err() && limit("-1").is_err());
        assert_eq!(ClientsLimit::Percent(5).bytes(0), 0);
        assert_eq!(ClientsLimit::Percent(5).show(), "5%");
    }
}
