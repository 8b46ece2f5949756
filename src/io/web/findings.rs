//! What of policy and roster cannot work, or could be better, as the pages show it.

use super::messages::policy::{EN, ZH};
use super::page::Page;
use super::view;
use crate::duty::rehearsal::Finding;
use crate::duty::roster::Roster;

pub struct Found {
    pub class: &'static str,
    pub shape: &'static str,
    pub word: &'static str,
    pub text: String,
}

/// With the numbers of the roster hidden.
pub fn found(one: Finding, roster: &Roster, page: &Page) -> Found {
    let t = page.pick((&ZH, &EN));
    let (class, shape, word) = match one.refused {
        true => ("bad", "■", t.refused),
        false => ("warn", "▲", t.warned),
    };
    let numbers = roster.people.iter().flat_map(|person| [&person.mobile, &person.office]);
    let numbers = numbers.flatten().filter(|number| !number.is_empty());
    let hide = |text: String, number: &String| text.replace(number, &view::masked(number));
    Found { class, shape, word, text: numbers.fold(page.pick((one.zh, one.en)), hide) }
}
