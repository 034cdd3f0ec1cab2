//! Handing shards from one core to another, for as long as a session lasts.
//!
//! A core that lends puts its shard into its place here and sleeps until it is back: its thread
//! touches nothing meanwhile, so whoever has taken the shard has it alone. Only the holder of the
//! desk's turn takes shards, and it holds them only while it computes: it waits for nobody.

use quire_engine::shard::Shard;
use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

#[derive(Default)]
enum State {
    /// With its core.
    #[default]
    Home,
    /// Here, to be taken.
    Offered(Box<Shard>),
    /// Taken.
    Away,
    /// Here, to be fetched by its core.
    Returned(Box<Shard>),
}

#[derive(Default)]
struct Place {
    state: Mutex<State>,
    returned: Condvar,
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The places of all shards.
pub struct Lending {
    places: Vec<Place>,
    offered: AtomicUsize,
}

impl Lending {
    /// For so many shards.
    pub fn new(shards: usize) -> Self {
        Self {
            places: (0..shards).map(|_| Place::default()).collect(),
            offered: AtomicUsize::new(0),
        }
    }

    /// Offers a shard; true when it is the last of all but the leader's.
    pub fn offer(&self, id: u16, shard: Box<Shard>) -> bool {
        *self.places[usize::from(id)].state() = State::Offered(shard);
        // ORDER: the shard lies there before it is counted; whoever sees the last count finds all.
        self.offered.fetch_add(1, Ordering::AcqRel) + 2 == self.places.len()
    }

    /// Takes every shard that is offered, by index.
    pub fn take_all(&self) -> Vec<Option<Box<Shard>>> {
        self.offered.store(0, Ordering::Release);
        let take = |place: &Place| {
            let mut state = place.state();
            match std::mem::take(&mut *state) {
                State::Offered(shard) => {
                    *state = State::Away;
                    Some(shard)
                }
                other => {
                    *state = other;
                    None
                }
            }
        };
        self.places.iter().map(take).collect()
    }

    /// Gives a shard back.
    pub fn give_back(&self, id: usize, shard: Box<Shard>) {
        *self.places[id].state() = State::Returned(shard);
        self.places[id].returned.notify_one();
    }

    /// Has everybody who waits look again.
    pub fn wake_all(&self) {
        for place in &self.places {
            // ORDER: whoever is about to sleep has looked before, or looks after this.
            drop(place.state());
            place.returned.notify_one();
        }
    }

    /// Sleeps until the shard that was offered is back; or until there is something else to do,
    /// then None.
    pub fn wait(&self, id: u16, is_wanted: impl Fn() -> bool) -> Option<Box<Shard>> {
        let place = &self.places[usize::from(id)];
        let mut state = place.state();
        loop {
            match std::mem::take(&mut *state) {
                State::Returned(shard) => return Some(shard),
                other => *state = other,
            }
            if is_wanted() {
                return None;
            }
            state = place.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
