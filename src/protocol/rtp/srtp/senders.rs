//! How far each sender has come under one key: packet indices and what came before (RFC 3711 §3.3.1, §3.3.2).

/// Senders of one direction that are remembered; the one heard longest ago is forgotten.
const SENDERS: usize = 4;
/// Packets behind the newest that are told from replays.
const WINDOW: u64 = 128;

/// Who is heard, or spoken for, under one key.
#[derive(Debug, Default)]
pub struct Senders {
    places: [Sender; SENDERS],
    turn: u64,
}

impl Senders {
    pub fn known(&self, ssrc: u32) -> Option<Sender> {
        self.places.iter().find(|sender| sender.is(ssrc)).copied()
    }

    pub fn of(&mut self, ssrc: u32) -> &mut Sender {
        self.turn += 1;
        let known = self.places.iter().position(|sender| sender.is(ssrc));
        let place = known.unwrap_or_else(|| {
            let oldest = (0..SENDERS).min_by_key(|place| self.places[*place].turn).unwrap_or(0);
            self.places[oldest] = Sender::new(ssrc);
            oldest
        });
        self.places[place].turn = self.turn;
        &mut self.places[place]
    }
}

/// Packet indices of one SSRC: 32 bits of rollover counter above the sequence number (§3.3.1).
#[derive(Debug, Clone, Copy, Default)]
pub struct Sender {
    ssrc: u32,
    /// The highest index so far; none before the first packet.
    highest: Option<u64>,
    /// Bit n: the packet n behind the highest was there.
    window: u128,
    /// When it was there last; 0 for a free place.
    turn: u64,
}

impl Sender {
    pub fn new(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }

    fn is(&self, ssrc: u32) -> bool {
        self.turn != 0 && self.ssrc == ssrc
    }

    /// Appendix A: the index nearest to the highest one.
    pub fn guess(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(sequence) };
        let ahead = i64::from(sequence.wrapping_sub(highest as u16).cast_signed());
        highest.checked_add_signed(ahead).unwrap_or(u64::from(sequence)) & 0xffff_ffff_ffff
    }

    pub fn has_heard(&self, index: u64) -> bool {
        self.highest.is_some_and(|highest| {
            let behind = highest.saturating_sub(index);
            index <= highest && (behind >= WINDOW || (self.window >> behind) & 1 == 1)
        })
    }

    pub fn note(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index > highest {
            let ahead = u32::try_from(index - highest).unwrap_or(u32::MAX);
            self.window = self.window.checked_shl(ahead).unwrap_or(0);
        }
        self.highest = Some(highest.max(index));
        let behind = highest.max(index) - index;
        if behind < WINDOW {
            self.window |= 1 << behind;
        }
    }
}
