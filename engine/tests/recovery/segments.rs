//! Log directories built by hand on the simulated disk, byte by byte.

use quire_engine::{
    aof::{
        Lsn, Transaction, TransactionLine,
        header::{EndLine, HEADER_BYTES, Header, filler},
    },
    io::{Method, sim::SimDisk},
    manifest::{Entry, GLOBAL_SHARD, Kind, Manifest, Names},
};

pub const RUN: u64 = 0xfeed_0123_4567_89ab;

/// `SET k v` as RESP.
pub fn resp(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text.into_bytes()
}

/// The body of a commit: SELECT 0, then the lines.
pub fn body(lines: &[&str]) -> Vec<u8> {
    let mut body = resp("SELECT 0");
    lines.iter().for_each(|line| body.extend_from_slice(&resp(line)));
    body
}

/// A segment under construction.
pub struct Segment {
    pub run: u64,
    pub shard: u16,
    pub number: u64,
    pub bytes: Vec<u8>,
    pub next: Lsn,
    /// What the next commits claim.
    pub synced: Lsn,
    /// Commits are padded to blocks.
    pub direct: bool,
    pub first_lsn: Option<Lsn>,
    pub capacity: Option<u64>,
    /// Where the commits begin.
    pub offsets: Vec<usize>,
}

impl Segment {
    pub fn new(shard: u16, number: u64) -> Self {
        Self {
            run: RUN,
            shard,
            number,
            bytes: Vec::new(),
            next: 1,
            synced: 0,
            direct: false,
            first_lsn: None,
            capacity: None,
            offsets: Vec::new(),
        }
    }

    pub fn direct(shard: u16, number: u64) -> Self {
        Self { direct: true, ..Self::new(shard, number) }
    }

    pub fn of_run(mut self, run: u64) -> Self {
        self.run = run;
        self
    }

    /// The first commit gets this LSN.
    pub fn starting_at(mut self, lsn: Lsn) -> Self {
        self.next = lsn;
        self
    }

    /// Later commits claim that everything up to `lsn` is synced.
    pub fn claim(mut self, lsn: Lsn) -> Self {
        self.synced = lsn;
        self
    }

    /// A commit with one batch per line.
    pub fn commit(mut self, lines: &[&str]) -> Self {
        self.push_commit(&body(lines), lines.len() as u32);
        self
    }

    /// A commit that is a part of transaction `id` of these shards; a marker if there is no line.
    /// `stable`: all transactions below that are said to be stable.
    pub fn part(mut self, id: u64, stable: u64, shards: &[usize], lines: &[&str]) -> Self {
        let transaction = Transaction { id, participants: shards.iter().copied().collect() };
        let line = TransactionLine { transaction, stable_below: stable };
        let mut text = line.encode().to_vec();
        if !lines.is_empty() {
            text.extend_from_slice(&body(lines));
        }
        self.push_commit(&text, 1);
        self
    }

    pub fn push_commit(&mut self, body: &[u8], batches: u32) {
        let header = Header {
            run: self.run,
            shard: self.shard,
            seq: self.number,
            first_lsn: self.next,
            batches,
            body_bytes: body.len() as u64,
            synced: self.synced,
        };
        let mut line = [0; HEADER_BYTES];
        header.encode(&mut line, body);
        self.offsets.push(self.bytes.len());
        self.bytes.extend_from_slice(&line);
        self.bytes.extend_from_slice(body);
        if self.direct {
            let pad = self.bytes.len().next_multiple_of(4096) - self.bytes.len();
            let pad = if pad == 1 { 4097 } else { pad };
            // Lines of any length up to a block's worth; the last byte ends the last one.
            let mut left = pad;
            while left > 0 {
                let line = if left > 700 { 512 } else { left };
                self.bytes.push(b'#');
                self.bytes.extend(std::iter::repeat_n(b'.', line - 2));
                self.bytes.push(b'\n');
                left -= line;
            }
        }
        self.next += u64::from(batches);
    }

    pub fn end(mut self) -> Self {
        let last_lsn = self.next - 1;
        self.push_end(last_lsn);
        self
    }

    pub fn push_end(&mut self, last_lsn: Lsn) {
        let end = EndLine { run: self.run, shard: self.shard, seq: self.number, last_lsn };
        self.bytes.extend_from_slice(&end.encode());
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Filler up to `bytes`, which is what the segment was prefilled to.
    pub fn filled(mut self, bytes: usize) -> Self {
        assert!(self.direct && bytes >= self.bytes.len());
        self.bytes.extend_from_slice(&filler(bytes - self.bytes.len()));
        self.capacity = Some(bytes as u64);
        self
    }

    /// Flips a bit in commit `index`, `behind` bytes behind the end of its header.
    pub fn flip(mut self, index: usize, behind: usize) -> Self {
        let at = self.offsets[index] + HEADER_BYTES + behind;
        self.bytes[at] ^= 1;
        self
    }

    /// Cuts the last bytes off.
    pub fn torn(mut self, bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - bytes);
        self
    }

    pub fn name(&self) -> String {
        let names = Names::default();
        match self.shard {
            GLOBAL_SHARD => names.global(self.number),
            shard => names.segment(self.number, shard),
        }
    }
}

/// A directory under construction.
pub struct Directory {
    pub disk: SimDisk,
    pub manifest: Manifest,
}

impl Directory {
    pub fn new() -> Self {
        Self { disk: SimDisk::new(), manifest: Manifest::default() }
    }

    /// Segments, listed in this order.
    pub fn of(segments: impl IntoIterator<Item = Segment>) -> Self {
        let mut directory = Self::new();
        segments.into_iter().for_each(|segment| directory.add(&segment));
        directory
    }

    pub fn add(&mut self, segment: &Segment) {
        let seq = self.manifest.files.last().map_or(0, |entry| entry.seq).max(segment.number - 1);
        let mut entry = Entry::new(segment.name(), seq + 1, Kind::Incr);
        entry.run = Some(segment.run);
        entry.first_lsn = segment.first_lsn;
        entry.method = Some(if segment.direct { Method::Direct } else { Method::Buffered });
        entry.bytes = segment.capacity.or(Some(1 << 20));
        self.disk.put(&segment.name(), &segment.bytes);
        self.manifest.files.push(entry);
    }

    /// A listed file of somebody else.
    pub fn add_file(&mut self, name: &str, kind: Kind, bytes: &[u8]) {
        let seq = self.manifest.files.last().map_or(0, |entry| entry.seq) + 1;
        self.disk.put(name, bytes);
        self.manifest.files.push(Entry::new(name, seq, kind));
    }

    /// Puts our manifest there.
    pub fn ours(self) -> Self {
        self.disk.put("appendonly.aof.manifest", &self.manifest.print());
        self
    }

    /// Puts the manifest there as stock Redis would have written it.
    pub fn stocks(self) -> Self {
        let mut text = String::new();
        for entry in &self.manifest.files {
            let kind = match entry.kind {
                Kind::Base => 'b',
                Kind::History => 'h',
                Kind::Incr => 'i',
            };
            text.push_str(&format!("file {} seq {} type {kind}\n", entry.name, entry.seq));
        }
        self.disk.put("appendonly.aof.manifest", text.as_bytes());
        self
    }
}
