//! The alarm that a call to a leader did not go out: until one does, or until the line is up again for want of which it
//! did not.

use crate::duty::ids::AttemptId;
use crate::duty::journal::{AttemptResult, Fact, Noted};
use crate::io::status::{Alarm, Board, LineState, Status};
use crate::protocol::now::{Mono, Now};
use std::collections::BTreeSet;
use std::time::Duration;
use tracing::{info, warn};

const KEY: &str = "leaders_line";
/// A line that is found down so soon after a call that failed was down when it failed.
const FOUND_DOWN_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct LeadersLine {
    /// Calls to people that are exercises: what comes of them is nobody's alarm.
    exercises: BTreeSet<AttemptId>,
    failed: Option<Failed>,
}

/// The last call that did not go out.
#[derive(Debug, Clone, Copy)]
struct Failed {
    at: Mono,
    /// No number of ours was registered; else it is the PBX's trunk that failed, of which the line says nothing.
    for_the_line: bool,
}

impl LeadersLine {
    pub fn take(&mut self, noted: &Noted, board: &Board) {
        match &noted.fact {
            Fact::Exercise { attempt } => drop(self.exercises.insert(*attempt)),
            Fact::AttemptRinging { .. }
            | Fact::AttemptProgress { .. }
            | Fact::AttemptDialled { .. }
            | Fact::AttemptAnswered { .. } => self.is_open(board),
            Fact::AttemptEnded { attempt, result, status } => {
                let exercise = self.exercises.remove(attempt);
                match result {
                    AttemptResult::ChannelFailed if !exercise => {
                        self.fails(noted.at, *status, board)
                    }
                    // Whoever says so has been reached.
                    AttemptResult::Busy | AttemptResult::Declined => self.is_open(board),
                    _ => {}
                }
            }
            // Calls go by it as long as it is not known to be down.
            Fact::LineDown { .. } => self.is_found_down(noted.at),
            Fact::NumberDown { number, .. } if !is_up(&board.status(), Some(number.as_str())) => {
                self.is_found_down(noted.at);
            }
            Fact::LineUp => self.line_is_up(board),
            Fact::NumberUp { .. } if !is_up(&board.status(), None) => self.line_is_up(board),
            _ => {}
        }
    }

    fn fails(&mut self, now: Now, status: u16, board: &Board) {
        let for_the_line = !is_up(&board.status(), None);
        self.failed = Some(Failed { at: now.mono, for_the_line });
        show(now, status, board);
    }

    fn is_found_down(&mut self, now: Now) {
        if let Some(failed) = &mut self.failed {
            failed.for_the_line |= now.mono.since(failed.at) <= FOUND_DOWN_WITHIN;
        }
    }

    fn line_is_up(&mut self, board: &Board) {
        if self.failed.is_some_and(|failed| failed.for_the_line) {
            info!("the line is up again: leaders can be called");
            self.is_open(board);
        }
    }

    fn is_open(&mut self, board: &Board) {
        if self.failed.take().is_some() {
            board.update(|status| drop(status.alarms.remove(KEY)));
        }
    }
}

/// Whether any number of ours is registered, but for `lost`.
fn is_up(status: &Status, lost: Option<&str>) -> bool {
    let up = |lamp: &LineState| matches!(lamp, LineState::Registered { .. });
    let mut others = status.numbers.iter().filter(|(number, _)| lost != Some(number.as_str()));
    up(&status.line) || others.any(|(_, lamp)| up(lamp))
}

/// Nobody is told of what is urgent while calls to leaders fail: the officer has another telephone.
fn show(now: Now, status: u16, board: &Board) {
    let (zh, en) = match status {
        408 => ("交换机没有回应".to_owned(), "the PBX says nothing".to_owned()),
        _ => (format!("答复 {status}"), format!("the answer is {status}")),
    };
    let alarm = Alarm {
        since: board.status().alarms.get(KEY).map_or(now.wall, |alarm| alarm.since),
        zh: format!(
            "打给领导的电话没有打出去（{zh}），确认之前系统会继续重拨。请立即用另一部电话通知带班领导，并请技术人员检查交换机和外线。打通一次（点名、演练也算）即解除"
        ),
        en: format!(
            "A call to a leader did not go out ({en}); it is tried again until one is acknowledged. Tell him by another telephone now, and have PBX and trunk looked at. One call that goes out, in a roll-call or drill too, ends this"
        ),
    };
    warn!(key = KEY, alarm = %alarm.en, "a call is amiss");
    board.update(|status| drop(status.alarms.insert(KEY, alarm)));
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::*;
    use crate::duty::ids::CallId;
    use crate::io::clock;

    struct Site {
        board: Board,
        leaders: LeadersLine,
        start: Now,
    }

    impl Site {
        /// A line that is registered.
        fn new() -> Self {
            let start = clock::now();
            let mut site = Self { board: Board::new(), leaders: LeadersLine::default(), start };
            site.tell(0, Fact::LineUp);
            site
        }

        /// In the order of the log book.
        fn tell(&mut self, second: u64, fact: Fact) {
            let noted = Noted { at: self.start + Duration::from_secs(second), fact };
            self.leaders.take(&noted, &self.board);
            line::show(&noted, &self.board);
        }

        fn alarm(&self) -> Option<Alarm> {
            self.board.status().alarms.get(KEY).cloned()
        }
    }

    fn attempt() -> AttemptId {
        AttemptId(CallId::new(clock::now(), &mut clock::random()).0)
    }

    fn ended(result: AttemptResult, status: u16) -> Fact {
        Fact::AttemptEnded { attempt: attempt(), result, status }
    }

    fn failed(status: u16) -> Fact {
        ended(AttemptResult::ChannelFailed, status)
    }

    fn down() -> Fact {
        Fact::LineDown { status: 408, why: "no answer".to_owned(), since: None }
    }

    fn number_up() -> Fact {
        Fact::NumberUp { number: "63005678".to_owned() }
    }

    fn number_down() -> Fact {
        let (number, why) = ("63005678".to_owned(), "no answer".to_owned());
        Fact::NumberDown { number, status: 408, why, since: None }
    }

    #[test]
    fn esc_21_a_call_to_a_leader_that_does_not_go_out_is_an_alarm_until_one_does() {
        let mut site = Site::new();
        let attempt = attempt();
        site.tell(0, Fact::Exercise { attempt });
        let (result, status) = (AttemptResult::ChannelFailed, 503);
        site.tell(0, Fact::AttemptEnded { attempt, result, status });
        assert_eq!(site.alarm(), None, "a drill");
        let proofs = [
            Fact::AttemptRinging { attempt },
            Fact::AttemptProgress { attempt },
            Fact::AttemptDialled { attempt },
            Fact::AttemptAnswered { attempt },
            ended(AttemptResult::Busy, 486),
            ended(AttemptResult::Declined, 603),
        ];
        for proof in proofs {
            site.tell(60, failed(503));
            let first = site.alarm().unwrap();
            assert!(first.zh.contains("503") && first.zh.contains("另一部电话"), "{first:?}");
            site.tell(120, failed(408));
            let again = site.alarm().unwrap();
            assert!(again.zh.contains("没有回应") && again.since == first.since, "{again:?}");
            site.tell(180, ended(AttemptResult::Unreachable, 404));
            assert!(site.alarm().is_some(), "says nothing of the others");
            site.tell(240, proof);
            assert_eq!(site.alarm(), None);
        }
    }

    #[test]
    fn esc_21_where_the_line_was_down_the_alarm_ends_when_it_is_up_again() {
        // It was known, or is found out behind the call.
        for facts in [[down(), failed(403)], [failed(408), down()]] {
            let mut site = Site::new();
            for (second, fact) in facts.into_iter().enumerate() {
                site.tell(10 + 10 * second as u64, fact);
            }
            assert!(site.alarm().is_some());
            site.tell(90, Fact::LineUp);
            assert_eq!(site.alarm(), None);
        }
    }

    #[test]
    fn esc_21_a_trunk_that_fails_behind_a_line_that_is_up_is_not_mended_by_the_line() {
        let mut site = Site::new();
        site.tell(10, failed(503));
        site.tell(300, down());
        site.tell(320, Fact::LineUp);
        assert!(site.alarm().is_some(), "it was up when the call failed");
        site.tell(330, down());
        site.tell(340, failed(503));
        site.tell(350, Fact::LineUp);
        assert_eq!(site.alarm(), None);
        site.tell(360, failed(502));
        site.tell(370, number_up());
        assert!(site.alarm().is_some(), "another number says nothing of it");
    }

    #[test]
    fn esc_21_with_two_numbers_leaders_can_be_called_when_one_of_them_is_up() {
        let mut site = Site::new();
        site.tell(5, number_down());
        site.tell(10, down());
        site.tell(20, failed(408));
        assert!(site.alarm().is_some());
        site.tell(30, number_up());
        assert_eq!(site.alarm(), None, "calls go by it now");
        site.tell(40, failed(503));
        site.tell(50, Fact::LineUp);
        assert!(site.alarm().is_some(), "it was the trunk of the one that is up");
        site.tell(60, failed(503));
        site.tell(70, down());
        site.tell(80, Fact::LineUp);
        assert_eq!(site.alarm(), None);
    }
}
