//! Transactions by name. What is due, and what belongs to a session, is found without a look at all.

use crate::protocol::now::{Deadline, Mono};
use crate::protocol::sip::LegId;
use crate::protocol::timed::Timed;
use std::collections::{BTreeMap, BTreeSet};

pub trait Transaction {
    fn poll_timeout(&self) -> Option<Deadline>;
    /// The session that it is kept with; never another one.
    fn leg(&self) -> Option<LegId>;
}

#[derive(Debug)]
pub struct Table<K, T> {
    all: Timed<K, T>,
    of_leg: BTreeMap<LegId, BTreeSet<K>>,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self { all: Timed::default(), of_leg: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, T: Transaction> Table<K, T> {
    pub fn insert(&mut self, key: K, transaction: T) {
        self.remove(&key);
        if let Some(leg) = transaction.leg() {
            self.of_leg.entry(leg).or_default().insert(key.clone());
        }
        self.all.insert(key, transaction);
    }

    pub fn remove(&mut self, key: &K) -> Option<T> {
        let transaction = self.all.remove(key)?;
        if let Some(leg) = transaction.leg()
            && let Some(keys) = self.of_leg.get_mut(&leg)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.of_leg.remove(&leg);
            }
        }
        Some(transaction)
    }

    pub fn get(&self, key: &K) -> Option<&T> {
        self.all.get(key)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        self.all.get_mut(key)
    }

    /// Those kept with a session.
    pub fn of(&self, leg: LegId) -> impl Iterator<Item = (&K, &T)> {
        let keys = self.of_leg.get(&leg).into_iter().flatten();
        keys.filter_map(|key| Some((key, self.all.get(key)?)))
    }

    /// A look at all of them, for what happens seldom.
    pub fn names(&self, wanted: impl Fn(&T) -> bool) -> Vec<K> {
        let found = self.all.iter().filter(|(_, transaction)| wanted(transaction));
        found.map(|(key, _)| key.clone()).collect()
    }

    /// As [`Table::names`], of what is removed.
    pub fn forget(&mut self, unwanted: impl Fn(&T) -> bool) {
        for key in self.names(unwanted) {
            self.remove(&key);
        }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn settle(&mut self) {
        self.all.settle(T::poll_timeout);
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.all.first(T::poll_timeout)
    }

    pub fn due(&mut self, now: Mono) -> Vec<K> {
        self.all.due(now, T::poll_timeout)
    }
}
