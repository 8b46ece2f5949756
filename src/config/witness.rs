//! Where the signed heads of the log go, and how often.

use super::authority::authority;
use super::channels;
use super::reader::{Reader, Section, list, number, text};
use super::registrar::network;
use super::{HeadsTo, Witness};
use std::path::PathBuf;
use std::time::Duration;

pub fn witness(reader: &Reader, mut s: Section<'_>) -> Witness {
    let folder = s.optional("folder", text).map(PathBuf::from);
    let webhook = s.get("webhook").and_then(|_| webhook(reader, s.section("webhook")));
    let minutes = s.or("every_minutes", 10, number(1..=1440));
    s.close();
    Witness { folder, webhook, every: Duration::from_secs(60 * minutes) }
}

fn webhook(reader: &Reader, mut s: Section<'_>) -> Option<HeadsTo> {
    let allow = s.or("allow", vec![], list(network));
    let ca = authority(reader, &mut s);
    let hook = channels::webhook(reader, &mut s);
    s.close();
    Some(HeadsTo { hook: hook?, allow, ca })
}
