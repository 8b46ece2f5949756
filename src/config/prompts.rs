//! `[prompts]`: the site's own voice on the telephone. What nobody would hear, or a telephone would take for a tone or a
//! key, is refused before a leader is called with it.

use super::faults::{Say, say};
use super::reader::{Reader, Section, text};
use crate::duty::prompts::{GREETING, SENTENCES};
use crate::protocol::now::Mono;
use crate::protocol::rtp::Prompt;
use crate::protocol::rtp::narrow::Heard;
use crate::protocol::rtp::tones::{Listener, Wanted};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// Seconds of the longest sentence.
const LONGEST: usize = 60;
const RATE: usize = 8000;
/// Mean level below which a sentence is hardly heard, in dB relative to full scale.
const FAINT: f64 = -40.0;

/// The site's own files; `greeting` is named by itself and goes before the folder's.
pub fn own(reader: &Reader, s: Section<'_>, greeting: Option<PathBuf>) -> Vec<(Prompt, PathBuf)> {
    let mut own = of_folder(reader, s);
    if let Some(greeting) = greeting {
        own.retain(|(prompt, _)| *prompt != GREETING);
        own.push((GREETING, greeting));
    }
    own
}

fn of_folder(reader: &Reader, mut s: Section<'_>) -> Vec<(Prompt, PathBuf)> {
    let place = s.get("folder").map(|given| given.place);
    let folder = s.optional("folder", folder);
    s.close();
    let Some((folder, files)) = folder else { return vec![] };
    let field = "prompts.folder";
    let (mut own, mut ours, mut unknown) = (vec![], vec![], files);
    for (prompt, name, _) in SENTENCES {
        let file = format!("{name}.wav");
        if !unknown.remove(&file) {
            ours.push(name);
            continue;
        }
        let path = folder.join(&file);
        match can_be_said(&path) {
            Ok(()) => own.push((prompt, path)),
            Err(Say { zh, en }) => {
                let fault = say(format!("{file}：{zh}"), format!("{file}: {en}"));
                reader.fault(place.clone(), field, fault);
            }
        }
    }
    if !ours.is_empty() {
        let ours = ours.join(" ");
        let warning = say(
            format!("文件夹里没有这些句子，仍用内置语音，听起来是两个人：{ours}"),
            format!("these are not there and stay in the built-in voice, another one: {ours}"),
        );
        reader.warn(place.clone(), field, warning);
    }
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().collect();
        let unknown = unknown.join(" ");
        let warning = say(
            format!("没有叫这些名字的句子，不会播放：{unknown}。dutyline prompts 列出全部名字"),
            format!(
                "no sentence has these names, nobody will hear them: {unknown}; `dutyline prompts` lists the names"
            ),
        );
        reader.warn(place, field, warning);
    }
    own
}

/// The folder and the names of the WAVs in it.
fn folder(value: &DeValue<'_>) -> Result<(PathBuf, BTreeSet<String>), Say> {
    let path = PathBuf::from(text(value)?);
    let unreadable = |fault: std::io::Error| {
        say(
            format!("读不出文件夹 {}（{fault}）", path.display()),
            format!("the folder {} cannot be read: {fault}", path.display()),
        )
    };
    let mut files = BTreeSet::new();
    for file in fs::read_dir(&path).map_err(unreadable)? {
        let name = file.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.to_ascii_lowercase().ends_with(".wav") {
            files.insert(name);
        }
    }
    Ok((path, files))
}

/// A WAV that can be said as it is: 8 kHz, 16 bit, one channel.
pub fn can_be_said(path: &Path) -> Result<(), Say> {
    let wanted = |why: String| {
        say(
            format!(
                "不能播放（{why}）。需要 8 kHz、16 位、单声道、不超过 {LONGEST} 秒的 WAV：\
                 sox 原文件 -r 8000 -b 16 -c 1 新文件.wav"
            ),
            format!(
                "cannot be said ({why}); a WAV of 8 kHz, 16 bit, one channel and at most \
                 {LONGEST} s is needed: sox IN -r 8000 -b 16 -c 1 OUT.wav"
            ),
        )
    };
    let bytes = fs::read(path).map_err(|fault| wanted(fault.to_string()))?;
    let samples = samples(&bytes).ok_or_else(|| wanted("other format".to_owned()))?;
    if samples.len() > LONGEST * RATE {
        return Err(wanted(format!("{} s", samples.len() / RATE)));
    }
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
    let level = 10.0 * (power / samples.len().max(1) as f64 / f64::from(1 << 15).powi(2)).log10();
    if level < FAINT {
        return Err(say(
            format!(
                "几乎没有声音（平均 {level:.0} dBFS）。请重录，或 sox 原文件 新文件.wav norm -6"
            ),
            format!(
                "there is hardly any sound in it ({level:.0} dBFS on average): record it again, or sox IN OUT.wav norm -6"
            ),
        ));
    }
    let Some(mistaken) = mistaken(&samples) else { return Ok(()) };
    Err(say(
        format!("里面有电话会当作{mistaken}的声音。请去掉提示音，只留说话"),
        format!(
            "a telephone would take a part of it for {mistaken}: leave out sounds, keep speech"
        ),
    ))
}

/// What a telephone or the network would hear in it: a key of DTMF, a tone.
fn mistaken(samples: &[i16]) -> Option<String> {
    let mut listener = Listener::new(Wanted { network: true, fax: true, keys: true });
    let frames = (0u32..).zip(samples.chunks(RATE / 50));
    frames.into_iter().find_map(|(n, samples)| {
        let heard = Heard { ssrc: 1, timestamp: n * RATE as u32 / 50, samples };
        let tone = listener.handle_voice(&heard, Mono(0)).map(|(tone, _)| format!(" {tone:?} "));
        tone.or_else(|| listener.poll_key().map(|key| format!(" DTMF {key} ")))
    })
}

/// None for what is not PCM of one channel, 8000 samples a second, 16 bit.
fn samples(bytes: &[u8]) -> Option<Vec<i16>> {
    const FORMAT: [u8; 14] = [1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0];
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut known = false;
    loop {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        // What is piped says that it is longer than it is.
        let length = (u32::from_le_bytes(*length) as usize).min(after.len());
        let (body, after) = after.split_at(length);
        match name {
            b"fmt " => {
                // As it is, or extensible.
                let kind = body.starts_with(&[1, 0]) || body.starts_with(&[0xfe, 0xff]);
                known = kind && body.get(2..16) == Some(&FORMAT);
            }
            b"data" if known => {
                let sample = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
                return Some(body.chunks_exact(2).map(sample).collect());
            }
            _ => {}
        }
        rest = after.get(length % 2..).unwrap_or_default();
    }
}
