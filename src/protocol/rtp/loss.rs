//! Packets lost on the way, by RFC 3550 §A.3 over the sequence rules of §A.1, without its probation: the first
//! packet counts (recording.md T9).

/// A jump forward by more is a restart of the sender (§A.1).
const MAX_DROPOUT: u16 = 3000;
/// A packet late by more is a restart of the sender (§A.1).
const MAX_MISORDER: u16 = 100;

#[derive(Debug, Clone, Copy, Default)]
pub struct Loss {
    source: Option<Source>,
    /// Of sources before.
    earlier: u64,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    base: u32,
    /// Extended highest sequence number.
    highest: u32,
    received: u64,
}

impl Loss {
    pub fn handle_packet(&mut self, ssrc: u32, sequence: u16) {
        let source = self.source.as_mut().filter(|source| source.ssrc == ssrc);
        if source.is_some_and(|source| source.take(sequence)) {
            return;
        }
        self.earlier = self.lost();
        let base = u32::from(sequence);
        self.source = Some(Source { ssrc, base, highest: base, received: 1 });
    }

    pub fn lost(&self) -> u64 {
        let lost = self.source.map_or(0, |source| {
            let expected = u64::from(source.highest - source.base) + 1;
            expected.saturating_sub(source.received)
        });
        self.earlier + lost
    }
}

impl Source {
    /// False when the sender has started anew.
    fn take(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < MAX_DROPOUT {
            let Some(highest) = self.highest.checked_add(u32::from(ahead)) else { return false };
            self.highest = highest;
        } else if ahead <= u16::MAX - MAX_MISORDER {
            return false;
        }
        self.received += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(sequences: impl IntoIterator<Item = (u32, u16)>) -> u64 {
        let mut loss = Loss::default();
        for (ssrc, sequence) in sequences {
            loss.handle_packet(ssrc, sequence);
        }
        loss.lost()
    }

    #[test]
    fn gaps_are_lost_and_late_packets_are_not() {
        assert_eq!(lost([]), 0);
        assert_eq!(lost([(1, 9)]), 0);
        assert_eq!(lost([(1, 9), (1, 10), (1, 13)]), 2);
        assert_eq!(lost([(1, 9), (1, 11), (1, 10)]), 0);
    }

    #[test]
    fn a_wrap_is_not_a_loss() {
        assert_eq!(lost((65_000..=65_535u16).chain(0..500).map(|n| (1, n))), 0);
        assert_eq!(lost([(1, 65_534), (1, 1)]), 2);
    }

    #[test]
    fn duplicates_do_not_make_it_negative() {
        assert_eq!(lost([(1, 9), (1, 9), (1, 9)]), 0);
    }

    #[test]
    fn a_new_source_or_a_restart_keeps_what_was_lost_before() {
        assert_eq!(lost([(1, 9), (1, 12), (2, 40_000), (2, 40_002)]), 3);
        assert_eq!(lost([(1, 9), (1, 12), (1, 30_000), (1, 30_001)]), 2);
    }
}
