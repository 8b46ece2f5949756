//! Orders to tell a leader of an entry.

use super::{World, seconds};
use dutyline::duty::ids::{AttemptId, CallId};
use dutyline::duty::journal::Urgency;
use dutyline::duty::switchboard::{Errand, Input, LeaderCall};
use uuid::Uuid;

impl World {
    pub fn notify(&mut self, number: u128, urgency: Urgency) -> AttemptId {
        self.notify_of(CallId(Uuid::from_u128(1)), number, urgency)
    }

    /// A leader is told of the entry of this call.
    pub fn notify_of(&mut self, call: CallId, number: u128, urgency: Urgency) -> AttemptId {
        self.orders(call, number, urgency, None)
    }

    /// A leader is told of the entry of this call too, in the call that began for another.
    pub fn joins_of(&mut self, call: CallId, number: u128, host: AttemptId) -> AttemptId {
        self.orders(call, number, Urgency::Urgent, Some(host))
    }

    fn orders(
        &mut self,
        call: CallId,
        number: u128,
        urgency: Urgency,
        joins: Option<AttemptId>,
    ) -> AttemptId {
        let attempt = AttemptId(Uuid::from_u128(number));
        let order = LeaderCall {
            person: "张局".to_owned(),
            attempt,
            entry: call.into(),
            target: format!("9{number}"),
            urgency,
            ring: seconds(35),
            errand: Errand::Tell,
            after_cut: false,
            pin: None,
            joins,
        };
        self.tell(Input::Notify(order));
        attempt
    }
}
