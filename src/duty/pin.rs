//! The number that a leader proves himself with on the telephone. It is never shown, logged or written down.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub enum Pin {
    Digits(String),
    /// There is one; a checkpoint has left it out.
    Away,
    /// Guessed at too often: nothing opens the content any more.
    Refused,
}

/// What is written down of it.
#[derive(Serialize, Deserialize)]
enum Kept {
    Away,
    Refused,
}

impl From<Pin> for Kept {
    fn from(pin: Pin) -> Self {
        match pin {
            Pin::Digits(_) | Pin::Away => Kept::Away,
            Pin::Refused => Kept::Refused,
        }
    }
}

impl From<Kept> for Pin {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Away => Pin::Away,
            Kept::Refused => Pin::Refused,
        }
    }
}

/// How a wrong PIN is written down among the keys, not what was typed.
pub const WRONG: char = '✗';

/// Digits of a PIN.
pub const DIGITS: std::ops::RangeInclusive<usize> = 4..=12;

impl Pin {
    /// `None` where it is not 4 to 12 digits.
    pub fn new(digits: &str) -> Option<Self> {
        let fits = DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self::Digits(digits.to_owned()))
    }

    pub fn is(&self, typed: &str) -> bool {
        matches!(self, Pin::Digits(digits) if digits == typed)
    }

    /// Whatever is typed is wrong.
    pub fn is_locked(&self) -> bool {
        !matches!(self, Pin::Digits(_))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// What was typed so far, while the keys of a PIN are awaited. A checkpoint leaves it out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "()", into = "()")]
pub struct Typed(String);

impl From<()> for Typed {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Typed> for () {
    fn from(_: Typed) {}
}

impl Typed {
    /// More than any PIN has counts for nothing, and is wrong.
    pub fn push(&mut self, digit: char) {
        if self.0.len() <= *DIGITS.end() {
            self.0.push(digit);
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_87_of_a_pin_only_that_there_is_one_is_written_down() {
        let mut typed = Typed::default();
        "47".chars().for_each(|digit| typed.push(digit));
        let written = serde_json::to_string(&(Pin::new("4711"), Pin::Refused, typed)).unwrap();
        assert!(!written.contains("47"), "{written}");
        let (pin, refused, typed): (Option<Pin>, Pin, Typed) =
            serde_json::from_str(&written).unwrap();
        assert_eq!((pin, refused), (Some(Pin::Away), Pin::Refused));
        assert_eq!(typed.as_str(), "");
        for locked in [Pin::Away, Pin::Refused] {
            assert!(locked.is_locked() && !locked.is("") && !locked.is("4711"));
        }
    }

    #[test]
    fn esc_87_a_pin_is_digits_and_shows_nothing() {
        let pin = Pin::new("4711").unwrap();
        assert!(pin.is("4711") && !pin.is("4712") && !pin.is(""));
        assert_eq!(format!("{pin:?}"), "Pin(…)");
        let mut typed = Typed::default();
        "47119".chars().for_each(|digit| typed.push(digit));
        assert_eq!(format!("{typed:?}"), "Typed(5 keys)");
        for wrong in ["", "123", "12a4", "1234567890123", "４７１１"] {
            assert_eq!(Pin::new(wrong), None, "{wrong}");
        }
        (0..1000).for_each(|_| typed.push('1'));
        assert!(typed.as_str().len() < 20, "keys without end take no room");
    }
}
