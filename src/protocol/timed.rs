//! Things by name that each fall due at some moment: which is the first is known without a look at
//! all of them. Knows nothing of what they are.

use super::now::{Deadline, Mono, earlier};
use std::collections::{BTreeMap, BTreeSet};

/// **What `get_mut` gave out is looked at anew by whoever asks next; `settle` puts it into the
/// order again.** `deadline` is the same function each time, of the thing alone.
#[derive(Debug)]
pub struct Timed<K, V> {
    all: BTreeMap<K, Slot<V>>,
    order: BTreeSet<(Mono, K)>,
    /// Those whose slots say so, and some that are gone since.
    moved: Vec<K>,
}

#[derive(Debug)]
struct Slot<V> {
    /// By itself: the tree moves its slots about.
    thing: Box<V>,
    /// Its place in the order.
    at: Option<Mono>,
    /// Its deadline may be another by now.
    moved: bool,
}

impl<K, V> Default for Timed<K, V> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), order: BTreeSet::new(), moved: vec![] }
    }
}

impl<K: Ord + Clone, V> Timed<K, V> {
    pub fn insert(&mut self, key: K, thing: V) -> Option<V> {
        let before = self.remove(&key);
        self.moved.push(key.clone());
        self.all.insert(key, Slot { thing: Box::new(thing), at: None, moved: true });
        before
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (key, slot) = self.all.remove_entry(key)?;
        if let Some(at) = slot.at {
            self.order.remove(&(at, key));
        }
        Some(*slot.thing)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.all.get(key).map(|slot| &*slot.thing)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.all.get_mut(key)?;
        if !std::mem::replace(&mut slot.moved, true) {
            self.moved.push(key.clone());
        }
        Some(&mut slot.thing)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.all.contains_key(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.all.iter().map(|(key, slot)| (key, &*slot.thing))
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Puts what was given out since into the order again.
    pub fn settle(&mut self, deadline: impl Fn(&V) -> Option<Deadline>) {
        for key in self.moved.drain(..) {
            let Some(slot) = self.all.get_mut(&key) else { continue };
            slot.moved = false;
            let at = deadline(&slot.thing).map(|(at, _)| at);
            if at == slot.at {
                continue;
            }
            if let Some(before) = slot.at {
                self.order.remove(&(before, key.clone()));
            }
            slot.at = at;
            self.order.extend(at.map(|at| (at, key)));
        }
    }

    /// The first deadline of all.
    pub fn first(&self, deadline: impl Fn(&V) -> Option<Deadline>) -> Option<Deadline> {
        let slot = |key: &K| self.all.get(key);
        let mut stay = self.order.iter().filter_map(|(_, key)| slot(key).filter(|one| !one.moved));
        let settled = stay.next().and_then(|one| deadline(&one.thing));
        let moved = self.moved.iter().filter_map(slot).map(|one| deadline(&one.thing));
        moved.fold(settled, earlier)
    }

    /// What is due at `now`, the first first.
    pub fn due(&mut self, now: Mono, deadline: impl Fn(&V) -> Option<Deadline>) -> Vec<K> {
        self.settle(deadline);
        let due = self.order.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, key)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Thing = Option<u64>;

    fn deadline(thing: &Thing) -> Option<Deadline> {
        thing.map(|at| (Mono(at), "due"))
    }

    #[derive(Debug, Clone)]
    enum Do {
        Insert(u8, Thing),
        Change(u8, Thing),
        Remove(u8),
        Settle,
    }

    fn steps() -> impl Strategy<Value = Vec<Do>> {
        let thing = || prop::option::of(0..20u64);
        let step = prop_oneof![
            (0..12u8, thing()).prop_map(|(key, thing)| Do::Insert(key, thing)),
            (0..12u8, thing()).prop_map(|(key, thing)| Do::Change(key, thing)),
            (0..12u8).prop_map(Do::Remove),
            Just(Do::Settle),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn it_finds_what_a_look_at_all_would_find(steps in steps(), now in 0..20u64) {
            let mut timed = Timed::default();
            let mut model: BTreeMap<u8, Thing> = BTreeMap::new();
            for step in steps {
                match step {
                    Do::Insert(key, thing) => {
                        prop_assert_eq!(timed.insert(key, thing), model.insert(key, thing));
                    }
                    Do::Change(key, thing) => {
                        timed.get_mut(&key).into_iter().for_each(|one| *one = thing);
                        model.get_mut(&key).into_iter().for_each(|one| *one = thing);
                    }
                    Do::Remove(key) => prop_assert_eq!(timed.remove(&key), model.remove(&key)),
                    Do::Settle => timed.settle(deadline),
                }
                let first = model.values().filter_map(deadline).min();
                prop_assert_eq!(timed.first(deadline), first);
            }
            let due: BTreeSet<u8> = timed.due(Mono(now), deadline).into_iter().collect();
            let wanted = model.iter().filter(|(_, thing)| thing.is_some_and(|at| at <= now));
            prop_assert_eq!(due, wanted.map(|(key, _)| *key).collect::<BTreeSet<u8>>());
            prop_assert_eq!(timed.len(), model.len());
        }
    }
}
