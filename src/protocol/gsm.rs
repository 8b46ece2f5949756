//! Short messages as a GSM modem takes them (3GPP TS 23.040, TS 27.005 PDU mode): Chinese text, in
//! as many parts as it needs.

mod alphabet;
mod deliver;

pub use deliver::{Delivered, Part, whole};

/// UTF-16 units of one message, and of a part of several (TS 23.040 §9.2.3.24.1).
const WHOLE: usize = 70;
const PART: usize = 67;
/// SMS-SUBMIT, relative validity, a status report is asked for (§9.2.2.2).
const SUBMIT: u8 = 0x31;
/// A header comes before the text.
const HEADER: u8 = 0x40;
/// UCS-2 (TS 23.038 §4).
const UCS2: u8 = 0x08;
/// 24 hours (§9.2.3.12.1).
const VALID: u8 = 0xa7;

/// One message to the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// As `AT+CMGS=` wants it: without the service centre's address.
    pub octets: usize,
    pub hex: String,
}

/// The parts of a text; never a half of a character. At most 255, what is longer is left out.
pub fn submit(number: &str, text: &str, reference: u8) -> Vec<Pdu> {
    let parts = split(text);
    let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    let numbered = parts.iter().zip(1..=total);
    let header = |nth| (total > 1).then_some([5, 0, 3, reference, total, nth]);
    numbered.map(|(part, nth)| pdu(number, part, header(nth))).collect()
}

fn pdu(number: &str, part: &[u16], header: Option<[u8; 6]>) -> Pdu {
    let first = if header.is_some() { SUBMIT | HEADER } else { SUBMIT };
    let mut octets = vec![first, 0];
    octets.extend(address(number));
    let length = 2 * part.len() + header.map_or(0, |header| header.len());
    octets.extend([0, UCS2, VALID, u8::try_from(length).unwrap_or(u8::MAX)]);
    octets.extend(header.into_iter().flatten());
    octets.extend(part.iter().flat_map(|unit| unit.to_be_bytes()));
    let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    // The modem's own service centre.
    Pdu { octets: octets.len(), hex: format!("00{hex}") }
}

/// Half-octets the wrong way round, F to fill (§9.1.2.5); what is no digit is left out.
fn address(number: &str) -> Vec<u8> {
    let kind = if number.starts_with('+') { 0x91 } else { 0x81 };
    let digits: Vec<u8> =
        number.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').take(20).collect();
    let pairs = digits.chunks(2).map(|pair| pair.get(1).unwrap_or(&0xf) << 4 | pair[0]);
    let length = u8::try_from(digits.len()).unwrap_or(0);
    [length, kind].into_iter().chain(pairs).collect()
}

/// What the network says became of a message (SMS-STATUS-REPORT, §9.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The message's, as the modem gave it when it took it.
    pub reference: u8,
    /// TP-Status (§9.2.3.15).
    pub status: u8,
}

impl Report {
    /// As a modem hands it on: `None` for anything else.
    pub fn read(hex: &str) -> Option<Self> {
        let octets = octets(hex)?;
        let centre = usize::from(*octets.first()?);
        let pdu = octets.get(1 + centre..)?;
        let &[first, reference, digits, ..] = pdu else { return None };
        let times = 4 + usize::from(digits).div_ceil(2);
        // Two moments of seven octets stand before the status.
        let status = *pdu.get(times + 14)?;
        (first & 0x03 == 0x02).then_some(Self { reference, status })
    }

    pub fn is_delivered(self) -> bool {
        self.status < 0x20
    }

    /// It never will be: nobody is trying any more.
    pub fn is_failed(self) -> bool {
        self.status >= 0x40
    }
}

/// No more than any message has (§9.2.3): `None` for what is none.
fn octets(hex: &str) -> Option<Vec<u8>> {
    let two = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    (hex.len() <= 2 * 512).then(|| hex.as_bytes().chunks_exact(2).map(two).collect()).flatten()
}

fn split(text: &str) -> Vec<Vec<u16>> {
    let units: Vec<u16> = text.encode_utf16().collect();
    if units.len() <= WHOLE {
        return vec![units];
    }
    let (mut parts, mut part) = (vec![], vec![]);
    for character in text.chars() {
        let mut buffer = [0; 2];
        let encoded = character.encode_utf16(&mut buffer);
        if part.len() + encoded.len() > PART {
            parts.push(std::mem::take(&mut part));
        }
        part.extend_from_slice(encoded);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_57_the_pdu_is_the_one_that_an_independent_decoder_reads() {
        let sent = submit("+8613800138000", "值班室:紧急来电,请回复1确认", 7);
        let wanted = "0031000D91683108108300F00008A71E503C73ED5BA4003A7D27602567657535002C8BF756DE590D0031786E8BA4";
        assert_eq!(sent, [Pdu { octets: 45, hex: wanted.to_owned() }]);
    }

    #[test]
    fn esc_60_a_long_text_is_parts_of_one_reference_and_no_character_is_cut() {
        let lengths = |text: &str| split(text).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&"急".repeat(70)), [70]);
        assert_eq!(lengths(&"急".repeat(71)), [67, 4]);
        let surrogate = format!("{}\u{20bb7}{}", "急".repeat(66), "急".repeat(10));
        assert_eq!(lengths(&surrogate), [66, 12]);
        let parts = submit("13800138000", &"急".repeat(71), 0x2a);
        assert_eq!(parts.len(), 2);
        for (nth, part) in parts.iter().enumerate() {
            // A local number: 11 digits, no country code.
            assert!(part.hex.starts_with("0071000B813108108300F00008A7"), "{}", part.hex);
            let header = format!("0500032A02{:02X}", nth + 1);
            assert!(part.hex[30..].starts_with(&header), "{}", part.hex);
            assert_eq!(part.octets, part.hex.len() / 2 - 1);
        }
    }

    #[test]
    fn esc_62_a_status_report_says_whether_a_message_has_arrived() {
        let report = |status: u8| {
            let hex = format!("0006D60B911326880736F41110117195514011101171957140{status:02X}");
            Report::read(&hex)
        };
        for (status, delivered, failed) in [
            (0, true, false),
            (0x20, false, false),
            (0x40, false, true),
            (0x46, false, true),
            (0xff, false, true),
        ] {
            let read = report(status).unwrap();
            assert_eq!((read.reference, read.status), (0xd6, status));
            assert_eq!(
                (read.is_delivered(), read.is_failed()),
                (delivered, failed),
                "{status:02X}"
            );
        }
        let centre = "07911326040000F006D60B911326880736F4111011719551401110117195714000";
        assert_eq!(Report::read(centre), report(0), "with its service centre");
        let deliver = "0004D60B911326880736F4111011719551401110117195714000";
        for other in ["", "0", "00", "0006", "zz06D6", "FF06D60B91", deliver, &"é".repeat(9)] {
            assert_eq!(Report::read(other), None, "{other}");
        }
    }
}
