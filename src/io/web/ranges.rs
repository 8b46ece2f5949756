//! The bytes of a recording by HTTP (RFC 9110 §14): all of them, or the one range that is asked for.

use super::failure::Failure;
use super::recording::broken;
use super::sources::Source;
use crate::io::flac::sound::Sound;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Read at once, and how many of these wait for the browser: a player that is full asks for no more for minutes.
const PIECE: u64 = 64 * 1024;
const PIECES: usize = 2;

/// Which bytes are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    All,
    Part(Range<u64>),
    /// There are none of these, or they are several.
    Beyond,
}

/// What a `Range` asks of so many bytes; one that makes no sense is none, and several at once are refused (§14.2).
pub fn asked(range: Option<&str>, length: u64) -> Asked {
    let set = range.and_then(|range| {
        let (unit, set) = range.split_once('=')?;
        unit.trim().eq_ignore_ascii_case("bytes").then_some(set.trim())
    });
    if set.is_some_and(|set| set.contains(',')) {
        return Asked::Beyond;
    }
    let Some((first, last)) = set.and_then(|set| set.split_once('-')) else { return Asked::All };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // So many digits are more than there is.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let part = match (number(first), number(last)) {
        (Some(from), Some(to)) if from > to => return Asked::All,
        (Some(from), Some(to)) => from..to.saturating_add(1).min(length),
        (Some(from), None) if last.is_empty() => from..length,
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Asked::All,
    };
    if part.start >= length || part.is_empty() { Asked::Beyond } else { Asked::Part(part) }
}

/// Answers with the recording of this hash, in whichever form it is kept.
pub async fn answer(source: Source, sha256: &str, wanted: &HeaderMap) -> Result<Response, Failure> {
    let opening = tokio::task::spawn_blocking(move || {
        let sound = source.open()?;
        let length = sound.length()?;
        Ok::<_, io::Error>((sound, length))
    });
    let (sound, length) = opening.await.map_err(broken)?.map_err(broken)?;
    let tag = HeaderValue::try_from(format!("\"{sha256}\"")).map_err(broken)?;
    // §13.1.5: of what it has the beginning of, and no other.
    let same = wanted.get(header::IF_RANGE).is_none_or(|other| *other == tag);
    let range = wanted.get(header::RANGE).filter(|_| same).and_then(|range| range.to_str().ok());
    let (status, part) = match asked(range, length) {
        Asked::All => (StatusCode::OK, 0..length),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let count = part.end - part.start;
    let of = match status {
        StatusCode::PARTIAL_CONTENT => {
            Some(format!("bytes {}-{}/{length}", part.start, part.end - 1))
        }
        StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{length}")),
        _ => None,
    };
    let mut answer = match count {
        0 => Body::empty().into_response(),
        _ => pieces(sound, part).into_response(),
    };
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    headers.insert(header::ETAG, tag);
    if let Some(of) = of {
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(of).map_err(broken)?);
    }
    Ok(answer)
}

/// Read on as the browser takes them; no thread waits for it meanwhile.
fn pieces(sound: Sound, part: Range<u64>) -> Body {
    let (to, body) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    tokio::spawn(async move {
        let (mut sound, mut at) = (sound, part.start);
        while at < part.end {
            let wanted = (part.end - at).min(PIECE);
            let reading = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; wanted as usize];
                let read =
                    sound.seek(SeekFrom::Start(at)).and_then(|_| sound.read_exact(&mut piece));
                (sound, read.map(|()| piece))
            });
            let Ok((open, read)) = reading.await else { return };
            sound = open;
            at += wanted;
            let failed = read.is_err();
            if let Err(fault) = &read {
                tracing::error!(%fault, "a recording cannot be read to its end");
            }
            // The browser has gone.
            if to.send(read.map(Bytes::from)).await.is_err() || failed {
                return;
            }
        }
    });
    Body::from_stream(ReceiverStream::new(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rec_l2_a_range_is_what_it_says_and_nonsense_is_none() {
        let of = |range| asked(Some(range), 1000);
        assert_eq!(of("bytes=0-"), Asked::Part(0..1000));
        assert_eq!(of("bytes=44-143"), Asked::Part(44..144));
        assert_eq!(of("Bytes = 990-5000"), Asked::Part(990..1000));
        assert_eq!(of("bytes=-10"), Asked::Part(990..1000));
        assert_eq!(of("bytes=-5000"), Asked::Part(0..1000));
        assert_eq!(of("bytes=999-999"), Asked::Part(999..1000));
        assert_eq!(of("bytes=0-99999999999999999999999"), Asked::Part(0..1000));
        for beyond in [
            "bytes=1000-",
            "bytes=-0",
            "bytes=1000-1001",
            "bytes=1-2,4-5",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(of(beyond), Asked::Beyond, "{beyond}");
        }
        for none in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=--1",
            "items=0-1",
            "bytes=0-1-2",
            "bytes=１-2",
        ] {
            assert_eq!(of(none), Asked::All, "{none}");
        }
        assert_eq!(asked(None, 1000), Asked::All);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Beyond);
    }
}
