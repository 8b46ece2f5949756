//! What real senders write, made into what the grammar has; with limits.

use super::SdpFault;

const MEDIA_MAX: usize = 8;
const ATTRIBUTES_MAX: usize = 64;
pub const BYTES_MAX: usize = 64 * 1024;

pub fn read(bytes: &[u8]) -> Result<sdp_types::Session, SdpFault> {
    if bytes.len() > BYTES_MAX {
        return Err(SdpFault::TooMany("bytes"));
    }
    let text = sanitised(bytes);
    let sdp = sdp_types::Session::parse(text.as_bytes())
        .map_err(|fault| SdpFault::Malformed(fault.to_string()))?;
    within_limits(&sdp)?;
    Ok(sdp)
}

/// Only the lines we read, as UTF-8, with what real senders get wrong put right: spaces in the user name of `o=`,
/// an `o=` that is not one, a second session-level `c=`.
fn sanitised(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(text.len());
    let (mut origin, mut connection, mut media) = (false, false, false);
    for line in text.split(['\n', '\r']).map(|line| line.trim_end_matches('\0')) {
        let line = match line.as_bytes() {
            [b'v' | b'a', b'=', ..] => line.replace('\0', " "),
            [b'm', b'=', ..] => {
                media = true;
                line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            }
            [b'c', b'=', ..] if media || !connection => {
                connection |= !media;
                line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            }
            [b'o', b'=', ..] if !origin && !media => match clean_origin(&line[2..]) {
                Some(line) => {
                    origin = true;
                    line
                }
                None => continue,
            },
            _ => continue,
        };
        clean.push_str(&line);
        clean.push_str("\r\n");
    }
    clean
}

fn clean_origin(value: &str) -> Option<String> {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let (user, rest) = fields.split_at_checked(fields.len().checked_sub(5)?)?;
    let [id, version, "IN", "IP4" | "IP6", address] = rest else { return None };
    version.parse::<u64>().ok()?;
    let user = if user.is_empty() { "-".to_owned() } else { user.join("_") };
    Some(format!("o={user} {id} {version} IN {} {address}", rest[3]))
}

fn within_limits(sdp: &sdp_types::Session) -> Result<(), SdpFault> {
    if sdp.medias.len() > MEDIA_MAX {
        return Err(SdpFault::TooMany("media lines"));
    }
    let sections = sdp.medias.iter().map(|media| &media.attributes).chain([&sdp.attributes]);
    if sections.map(Vec::len).any(|count| count > ATTRIBUTES_MAX) {
        return Err(SdpFault::TooMany("attributes"));
    }
    Ok(())
}
