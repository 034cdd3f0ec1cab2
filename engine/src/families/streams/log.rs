//! How deliveries are logged: XCLAIM and XGROUP with everything given, as Redis does.

use crate::{
    command::Ctx,
    effect::Effect,
    keyspace::Key,
    types::stream::{Id, Pending},
};

/// Bytes that one logged delivery takes besides key and names.
const CLAIM_BYTES: usize = 320;

/// A group of a stream and one of its consumers.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: Key<'a>,
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
}

impl Place<'_> {
    /// Bytes that so many deliveries take in the log.
    pub(super) fn bytes(&self, deliveries: usize) -> usize {
        let names = self.key.bytes.len() + self.group.len() + self.consumer.len();
        deliveries.saturating_add(2).saturating_mul(names + CLAIM_BYTES)
    }

    /// An entry is the consumer's now.
    pub(super) fn log_claim(&self, cx: &mut Ctx<'_>, id: Id, pending: Pending, last: Id) {
        let (id, last) = (id.text(), last.text());
        let (at, deliveries) = (pending.delivered_ms.to_string(), pending.deliveries.to_string());
        let parts: [&[u8]; 14] = [
            b"XCLAIM",
            self.key.bytes,
            self.group,
            self.consumer,
            b"0",
            id.as_bytes(),
            b"TIME",
            at.as_bytes(),
            b"RETRYCOUNT",
            deliveries.as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last.as_bytes(),
        ];
        cx.effect_aside(self.key.hash, Effect::Parts { parts: &parts });
    }

    /// An entry is pending no more.
    pub(super) fn log_ack(&self, cx: &mut Ctx<'_>, id: Id) {
        let text = id.text();
        let parts: [&[u8]; 4] = [b"XACK", self.key.bytes, self.group, text.as_bytes()];
        cx.effect_aside(self.key.hash, Effect::Parts { parts: &parts });
    }

    /// The consumer is there now.
    pub(super) fn log_consumer(&self, cx: &mut Ctx<'_>) {
        let parts: [&[u8]; 5] =
            [b"XGROUP", b"CREATECONSUMER", self.key.bytes, self.group, self.consumer];
        cx.effect_aside(self.key.hash, Effect::Parts { parts: &parts });
    }

    /// The group has been given all up to an id.
    pub(super) fn log_position(&self, cx: &mut Ctx<'_>, last: Id, read: Option<i64>) {
        let (last, read) = (last.text(), read.unwrap_or(-1).to_string());
        let parts: [&[u8]; 7] = [
            b"XGROUP",
            b"SETID",
            self.key.bytes,
            self.group,
            last.as_bytes(),
            b"ENTRIESREAD",
            read.as_bytes(),
        ];
        cx.effect_aside(self.key.hash, Effect::Parts { parts: &parts });
    }
}
