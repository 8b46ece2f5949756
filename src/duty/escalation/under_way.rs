//! The calls that are under way, whatever for: looked up once for all that is decided on together.

use super::Elsewhere;
use crate::duty::ids::AttemptId;
use crate::duty::switchboard::MATTERS_MAX;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct UnderWay(BTreeMap<AttemptId, OneCall>);

#[derive(Debug, Clone)]
struct OneCall {
    person: String,
    /// The one that rings first.
    numbers: Vec<String>,
    joinable: bool,
    matters: usize,
}

impl UnderWay {
    /// One matter more is told of in this call.
    pub fn begins(&mut self, one: Elsewhere) {
        let Elsewhere { call, person, number, joinable } = one;
        let first = || OneCall { person, numbers: vec![], joinable, matters: 0 };
        let call = self.0.entry(call).or_insert_with(first);
        call.matters += 1;
        if !call.numbers.contains(&number) {
            call.numbers.push(number);
        }
    }

    /// One matter less.
    pub fn ends(&mut self, call: AttemptId) {
        let Some(one) = self.0.get_mut(&call) else { return };
        one.matters = one.matters.saturating_sub(1);
        if one.matters == 0 {
            self.0.remove(&call);
        }
    }

    /// As any of the matters sees it; a call that has no room for another one is not joined.
    pub fn elsewhere(&self) -> Vec<Elsewhere> {
        let of = |(call, one): (&AttemptId, &OneCall)| {
            let joinable = one.joinable && one.matters <= MATTERS_MAX;
            let (call, person) = (*call, one.person.clone());
            let at = move |number: &String| Elsewhere {
                call,
                person: person.clone(),
                number: number.clone(),
                joinable,
            };
            one.numbers.iter().map(at).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn told(call: u128, number: &str) -> Elsewhere {
        let (call, person) = (AttemptId(Uuid::from_u128(call)), "L".to_owned());
        Elsewhere { call, person, number: number.to_owned(), joinable: true }
    }

    #[test]
    fn esc_31_a_call_is_one_however_many_matters_it_is_for_and_takes_no_more_than_it_has_room_for()
    {
        let mut under_way = UnderWay::default();
        (0..MATTERS_MAX).for_each(|_| under_way.begins(told(1, "1001")));
        assert_eq!(under_way.elsewhere(), [told(1, "1001")]);
        under_way.begins(told(1, "1001"));
        let full = Elsewhere { joinable: false, ..told(1, "1001") };
        assert_eq!(under_way.elsewhere(), [full], "the one that it began for, and as many more");
        under_way.ends(told(1, "").call);
        assert_eq!(under_way.elsewhere(), [told(1, "1001")]);
        (0..MATTERS_MAX).for_each(|_| under_way.ends(told(1, "").call));
        under_way.ends(told(1, "").call);
        assert_eq!(under_way.elsewhere(), []);
    }

    #[test]
    fn whoever_was_moved_into_a_call_is_at_the_number_that_he_was_called_at_too() {
        let mut under_way = UnderWay::default();
        under_way.begins(told(2, "1002"));
        under_way.begins(told(1, "1001"));
        under_way.begins(told(1, "2001"));
        let all = [told(1, "1001"), told(1, "2001"), told(2, "1002")];
        assert_eq!(under_way.elsewhere(), all);
    }
}
