//! The number that a leader proves himself with on the telephone. It is never shown or logged.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin(String);

/// Digits of a PIN.
pub const DIGITS: std::ops::RangeInclusive<usize> = 4..=12;

impl Pin {
    /// `None` where it is not 4 to 12 digits.
    pub fn new(digits: &str) -> Option<Self> {
        let fits = DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(digits.to_owned()))
    }

    pub fn is(&self, typed: &str) -> bool {
        self.0 == typed
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// What was typed so far, while the keys of a PIN are awaited.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed(String);

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
