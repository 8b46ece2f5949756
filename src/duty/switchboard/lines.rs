//! Which of our numbers are registered, told where that changes.

use super::Switchboard;
use crate::duty::figures;
use crate::duty::journal::Fact;
use crate::protocol::now::Now;
use crate::protocol::sip::AorId;

impl Switchboard {
    pub(super) fn on_registered(&mut self, aor: AorId, now: Now) {
        figures::add(&mut self.figures.registrations, "ok", 1);
        let fact = match self.desk.plan.number(aor) {
            Some(number) => Fact::NumberUp { number: number.number.clone() },
            None => Fact::LineUp,
        };
        self.on_line(aor, fact, true, now);
    }

    pub(super) fn on_registration_failed(
        &mut self,
        aor: AorId,
        status: u16,
        why: String,
        now: Now,
    ) {
        figures::add(&mut self.figures.registrations, figures::of_registration(status), 1);
        let since = self.desk.sip.heard().map(|heard| now.back_to(heard).wall);
        let fact = match self.desk.plan.number(aor) {
            Some(number) => Fact::NumberDown { number: number.number.clone(), status, why, since },
            None => Fact::LineDown { status, why, since },
        };
        self.on_line(aor, fact, false, now);
    }

    fn on_line(&mut self, aor: AorId, fact: Fact, up: bool, now: Now) {
        if self.desk.lines_up.insert(aor, up) != Some(up) {
            self.desk.note(fact, now);
        }
    }
}
