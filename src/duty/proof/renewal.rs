//! The old signing key's last act: a note that names the key after it, signed by both. Where the old one is lost, the
//! new one alone signs, and nobody vouches for it.
//!
//! ```text
//!  dutyline/0198f2c4a1b27c3d            which log
//!  key renewed                          or: key lost
//!  from dutyline/0198f2c4a1b27c3d+aabbccdd+…            the old key; unknown, where not even that is left
//!  to dutyline/0198f2c4a1b27c3d+eeff0011+…
//!  renewal 1                            counts from 1 without a gap
//!  head 12                              the last that the old key signed
//!  time 2026-10-03T13:42:00.000Z
//!
//!  — dutyline/0198f2c4a1b27c3d …        the old key's signature, unless it is lost
//!  — dutyline/0198f2c4a1b27c3d …        the new one's: whoever knows it knows by it who was before
//! ```

use super::PublicKey;
use super::head::{LONGEST, SIGNED, Signature, signature, signed};
use chrono::{DateTime, SecondsFormat, Utc};

const UNKNOWN: &str = "unknown";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    pub from: Option<PublicKey>,
    pub to: PublicKey,
    /// The old key was not there to sign.
    pub lost: bool,
    pub number: u64,
    pub head: u64,
    pub at: DateTime<Utc>,
}

/// As it was found: only its form is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalNote {
    pub renewal: Renewal,
    /// What the signatures are of.
    pub text: String,
    pub signatures: Vec<Signature>,
}

impl Renewal {
    /// What is signed, its last line break included.
    pub fn text(&self) -> String {
        let from = self.from.as_ref().map_or_else(|| UNKNOWN.to_owned(), PublicKey::to_string);
        format!(
            "{}\nkey {}\nfrom {from}\nto {}\nrenewal {}\nhead {}\ntime {}\n",
            self.to.origin,
            if self.lost { "lost" } else { "renewed" },
            self.to,
            self.number,
            self.head,
            self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        )
    }

    /// The whole note; `by`: who signed, the old key first.
    pub fn note(&self, by: &[(&PublicKey, [u8; 64])]) -> String {
        let mut note = format!("{}\n", self.text());
        for (key, signature) in by {
            note += &signed(key, signature);
        }
        note
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next()?;
        let lost = match lines.next()? {
            "key lost" => true,
            "key renewed" => false,
            _ => return None,
        };
        let from = match lines.next()?.strip_prefix("from ")? {
            UNKNOWN if lost => None,
            key => Some(PublicKey::parse(key)?),
        };
        let renewal = Self {
            from,
            to: PublicKey::parse(lines.next()?.strip_prefix("to ")?)?,
            lost,
            number: lines.next()?.strip_prefix("renewal ")?.parse().ok()?,
            head: lines.next()?.strip_prefix("head ")?.parse().ok()?,
            at: DateTime::parse_from_rfc3339(lines.next()?.strip_prefix("time ")?).ok()?.into(),
        };
        let one_log = renewal.to.origin == origin
            && renewal.from.as_ref().is_none_or(|from| from.origin == origin);
        // One renewal has one text.
        (one_log && renewal.text() == text).then_some(renewal)
    }
}

impl RenewalNote {
    /// `None` where it is no note of a renewal.
    pub fn parse(note: &str) -> Option<Self> {
        if note.len() > 2 * LONGEST {
            return None;
        }
        let (text, by) = note.split_once(&format!("\n\n{SIGNED}"))?;
        let text = format!("{text}\n");
        let renewal = Renewal::parse(&text)?;
        let origin = &renewal.to.origin;
        let between = format!("\n{SIGNED}");
        let by = by.strip_suffix('\n').unwrap_or(by).split(&between);
        let signatures = by.map(|line| signature(line, origin)).collect::<Option<Vec<_>>>()?;
        Some(Self { renewal, text, signatures })
    }
}
