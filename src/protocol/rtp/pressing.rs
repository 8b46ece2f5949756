//! Keys that somebody pressed elsewhere, said to a party as telephone-events (RFC 4733 §2.5). A machine, asked once in
//! each frame of 20 ms.

/// Frames of a press: 100 ms, more than twice what any receiver asks for.
const PRESSED: u16 = 5;
/// Its last packet is sent three times (§2.5.1.4).
const REPEATED: u16 = 2;
/// Frames of voice between two presses: of those who type a number, and of those who do not end.
const PAUSE: u32 = 3;
const LONG_PAUSE: u32 = 12;
/// Presses in a row, after which somebody else is to be heard for most of the time.
const TYPED: u16 = 8;
/// Keys that may wait: two card numbers, typed faster than they can be said.
const WAITING_MAX: usize = 40;
/// −10 dBm0 (§2.3.4), as telephones send them.
const VOLUME: u8 = 10;
const END: u8 = 0x80;

#[derive(Debug, Clone)]
pub struct Pressing {
    /// Events by their number, the first one first.
    waiting: [u8; WAITING_MAX],
    count: usize,
    /// Frames of the first one that were said.
    said: u16,
    /// Presses since there was time for them.
    row: u16,
}

impl Default for Pressing {
    fn default() -> Self {
        Self { waiting: [0; WAITING_MAX], count: 0, said: 0, row: 0 }
    }
}

/// One packet of a press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub payload: [u8; 4],
    /// The first of its press.
    pub first: bool,
}

impl Pressing {
    /// What is no key, or one too many, is left out.
    pub fn press(&mut self, key: char) {
        let event = "0123456789*#ABCD".chars().position(|known| known == key);
        if let Some((event, place)) = event.zip(self.waiting.get_mut(self.count)) {
            *place = event as u8;
            self.count += 1;
        }
    }

    /// Whether anything is left to be said.
    pub fn is_on(&self) -> bool {
        self.count > 0
    }

    /// Whether a key is being said; voice waits meanwhile.
    pub fn is_saying(&self) -> bool {
        self.said > 0
    }

    /// Frames until the next press may begin, after the one that has just ended.
    pub fn pause(&self) -> u32 {
        if self.row < TYPED { PAUSE } else { LONG_PAUSE }
    }

    /// Nobody pressed anything for longer than that.
    pub fn rest(&mut self) {
        self.row = 0;
    }

    /// The packet of the next frame. `frame`: ticks that one lasts.
    pub fn turn(&mut self, frame: u16) -> Option<Part> {
        let event = *self.waiting[..self.count].first()?;
        let said = self.said;
        self.said += 1;
        if self.said == PRESSED + REPEATED {
            self.waiting.rotate_left(1);
            self.count -= 1;
            self.said = 0;
            self.row = self.row.saturating_add(1);
        }
        let frames = (said + 1).min(PRESSED);
        let [high, low] = (frames * frame).to_be_bytes();
        let end = if frames == PRESSED { END } else { 0 };
        Some(Part { payload: [event, end | VOLUME, high, low], first: said == 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pressing: &mut Pressing, frame: u16) -> Vec<Part> {
        std::iter::from_fn(|| pressing.turn(frame)).collect()
    }

    #[test]
    fn sig_22_a_press_grows_for_100_ms_and_its_end_comes_three_times() {
        let mut pressing = Pressing::default();
        pressing.press('#');
        let parts = parts(&mut pressing, 160);
        let seen: Vec<_> = parts.iter().map(|part| (part.payload, part.first)).collect();
        let at = |end: u8, ticks: u16, first| {
            ([11, end | 10, ticks.to_be_bytes()[0], ticks.to_be_bytes()[1]], first)
        };
        let grows = [at(0, 160, true), at(0, 320, false), at(0, 480, false), at(0, 640, false)];
        assert_eq!(seen[..4], grows);
        assert_eq!(seen[4..], [at(0x80, 800, false); 3]);
    }

    #[test]
    fn sig_22_the_longest_press_fits_a_fast_clock_and_pauses_grow_for_who_never_ends() {
        let mut pressing = Pressing::default();
        let mut pauses = vec![];
        for _ in 0..10 {
            pressing.press('1');
            let parts = parts(&mut pressing, 960);
            assert!(!pressing.is_saying() && parts.len() == 7);
            assert_eq!(parts[6].payload[2..], 4800u16.to_be_bytes());
            pauses.push(pressing.pause());
        }
        assert_eq!(pauses, [3, 3, 3, 3, 3, 3, 3, 12, 12, 12]);
        pressing.rest();
        assert_eq!(pressing.pause(), 3);
    }

    #[test]
    fn what_is_no_key_and_what_is_too_much_is_left_out() {
        let mut pressing = Pressing::default();
        pressing.press('x');
        assert!(!pressing.is_on());
        (0..100).for_each(|_| pressing.press('D'));
        let firsts = parts(&mut pressing, 160).into_iter().filter(|part| part.first);
        assert_eq!(firsts.count(), WAITING_MAX);
    }
}
