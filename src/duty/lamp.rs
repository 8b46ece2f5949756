//! The lamps of leaders' telephones: lit while a matter of theirs is open and nobody has looked at it. Which ones is
//! said from outside; here it is kept up until each telephone has taken it.

use crate::protocol::now::{Deadline, Mono, earlier};
use std::collections::BTreeMap;
use std::time::Duration;

/// A telephone that did not take it is told again so long after; the last for as long as it takes.
const AGAIN: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];
/// A telephone that was switched off meanwhile has forgotten its lamp.
const REFRESH: Duration = Duration::from_secs(600);

/// What a telephone made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    Yes,
    No,
    /// It knows no such lamp.
    Never,
}

/// **Handle one thing, drain `poll`, then wait for the next thing or `poll_timeout`.**
#[derive(Debug, Default)]
pub struct Lamps {
    phones: BTreeMap<String, Lamp>,
}

#[derive(Debug, Clone, Copy)]
struct Lamp {
    lit: bool,
    due: Option<Mono>,
    /// What it is being told.
    telling: Option<bool>,
    failures: usize,
    /// It has said that it knows no such lamp, and never since that it does.
    refused: bool,
}

impl Lamps {
    /// Every telephone that has a lamp, and whether it is to be lit. One that is not named any more
    /// goes out.
    pub fn handle_wanted(&mut self, wanted: &BTreeMap<String, bool>, now: Mono) {
        let gone = self.phones.keys().filter(|phone| !wanted.contains_key(*phone));
        let gone: Vec<(String, bool)> = gone.map(|phone| (phone.clone(), false)).collect();
        let named = wanted.iter().map(|(phone, lit)| (phone.clone(), *lit));
        for (phone, lit) in named.chain(gone) {
            let (due, telling, failures, refused) = (None, None, 0, false);
            let new = Lamp { lit: !lit, due, telling, failures, refused };
            let lamp = self.phones.entry(phone).or_insert(new);
            if lamp.lit != lit {
                (lamp.lit, lamp.due, lamp.failures) = (lit, Some(now), 0);
            }
        }
    }

    /// How it went with what `poll` asked for.
    pub fn handle_told(&mut self, phone: &str, took: Took, now: Mono) {
        let Some(lamp) = self.phones.get_mut(phone) else { return };
        let Some(said) = lamp.telling.take() else { return };
        lamp.due = match took {
            _ if said != lamp.lit => Some(now),
            Took::Yes => lamp.lit.then_some(now + REFRESH),
            Took::No => Some(now + AGAIN[lamp.failures.min(AGAIN.len() - 1)]),
            // Somebody may see to it.
            Took::Never => lamp.lit.then_some(now + REFRESH),
        };
        lamp.refused = took == Took::Never || (took == Took::No && lamp.refused);
        lamp.failures = if took == Took::Yes { 0 } else { lamp.failures + 1 };
    }

    /// A telephone that is to be told now, and whether its lamp is lit.
    pub fn poll(&mut self, now: Mono) -> Option<(String, bool)> {
        let due = |lamp: &Lamp| lamp.telling.is_none() && lamp.due.is_some_and(|due| due <= now);
        let (phone, lamp) = self.phones.iter_mut().find(|(_, lamp)| due(lamp))?;
        (lamp.telling, lamp.due) = (Some(lamp.lit), None);
        Some((phone.clone(), lamp.lit))
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let idle = self.phones.values().filter(|lamp| lamp.telling.is_none());
        let due = idle.filter_map(|lamp| lamp.due).map(|due| Some((due, "a lamp is to be set")));
        due.fold(None, earlier)
    }

    /// Telephones that were told to light theirs, and may have.
    pub fn lit(&self) -> Vec<&str> {
        let lit = self.phones.iter().filter(|(_, lamp)| lamp.lit || lamp.telling == Some(true));
        lit.map(|(phone, _)| phone.as_str()).collect()
    }

    /// Telephones whose lamp ought to be lit and is not, as far as can be known.
    pub fn dark(&self) -> Vec<&str> {
        let fails = |lamp: &Lamp| lamp.refused || lamp.failures > 1;
        let dark = self.phones.iter().filter(|(_, lamp)| lamp.lit && fails(lamp));
        dark.map(|(phone, _)| phone.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(1_000_000_000);

    fn wanted(lit: bool) -> BTreeMap<String, bool> {
        BTreeMap::from([("3002".to_owned(), lit)])
    }

    fn told(lamps: &mut Lamps, now: Mono) -> Vec<bool> {
        std::iter::from_fn(|| lamps.poll(now)).map(|(_, lit)| lit).collect()
    }

    #[test]
    fn sig_mwi_a_lamp_is_told_at_the_start_and_whenever_it_changes() {
        let mut lamps = Lamps::default();
        lamps.handle_wanted(&wanted(false), START);
        assert_eq!(told(&mut lamps, START), [false], "an earlier run may have lit it");
        lamps.handle_told("3002", Took::Yes, START);
        lamps.handle_wanted(&wanted(false), START);
        assert_eq!((told(&mut lamps, START), lamps.poll_timeout()), (vec![], None));
        lamps.handle_wanted(&wanted(true), START);
        assert_eq!(told(&mut lamps, START), [true]);
        // It is over before the telephone has answered.
        lamps.handle_wanted(&wanted(false), START);
        assert_eq!(told(&mut lamps, START), [] as [bool; 0], "one at a time");
        lamps.handle_told("3002", Took::Yes, START);
        assert_eq!(told(&mut lamps, START), [false]);
        lamps.handle_told("3002", Took::Yes, START);
        lamps.handle_wanted(&wanted(true), START);
        assert_eq!(told(&mut lamps, START), [true]);
        lamps.handle_told("3002", Took::Yes, START);
        assert_eq!(lamps.poll_timeout().unwrap().0, START + REFRESH);
        lamps.handle_wanted(&BTreeMap::new(), START);
        assert_eq!(told(&mut lamps, START), [false], "his telephone is nobody's any more");
    }

    #[test]
    fn sig_mwi_a_telephone_that_is_off_is_told_again() {
        let mut lamps = Lamps::default();
        lamps.handle_wanted(&wanted(true), START);
        let mut at = START;
        let mut tries = vec![];
        for _ in 0..5 {
            assert_eq!(told(&mut lamps, at), [true]);
            lamps.handle_told("3002", Took::No, at);
            let (due, _) = lamps.poll_timeout().unwrap();
            tries.push(due.since(at).as_secs());
            at = due;
        }
        assert_eq!(tries, [10, 60, 300, 300, 300]);
        assert_eq!(lamps.dark(), ["3002"]);
        assert_eq!(told(&mut lamps, at), [true]);
        lamps.handle_told("3002", Took::Yes, at);
        assert!(lamps.dark().is_empty());
        assert_eq!(told(&mut lamps, at + REFRESH), [true]);
    }

    #[test]
    fn sig_mwi_a_telephone_without_a_lamp_is_named_while_its_lamp_ought_to_be_lit() {
        let mut lamps = Lamps::default();
        for lit in [false, true, false, true] {
            lamps.handle_wanted(&wanted(lit), START);
            let before = lamps.dark().len();
            assert_eq!(told(&mut lamps, START), [lit]);
            lamps.handle_told("3002", Took::Never, START);
            let due = lamps.poll_timeout().map(|(due, _)| due);
            assert_eq!(due, lit.then_some(START + REFRESH), "somebody may see to it");
            assert_eq!(lamps.dark().len(), usize::from(lit));
            assert_eq!(before, usize::from(lit), "it has said so when it was put out");
        }
        assert_eq!(told(&mut lamps, START + REFRESH), [true]);
        lamps.handle_told("3002", Took::No, START + REFRESH);
        assert_eq!(lamps.dark(), ["3002"], "it has not said that it knows one");
        assert_eq!(told(&mut lamps, START + REFRESH + REFRESH), [true]);
        assert_eq!(lamps.lit(), ["3002"]);
        lamps.handle_told("3002", Took::Yes, START + REFRESH + REFRESH);
        assert!(lamps.dark().is_empty());
        lamps.handle_wanted(&wanted(false), START + REFRESH + REFRESH);
        assert!(lamps.lit().is_empty());
    }
}
