//! `tls_ca`: the file with the certificate of the authority that a site trusts.

use super::faults::{Say, say};
use super::reader::{Reader, Section, text};
use std::path::{Path, PathBuf};

/// Whom to trust, where it is given.
pub fn authority(reader: &Reader, s: &mut Section<'_>) -> Option<PathBuf> {
    let path = s.optional("tls_ca", text).map(PathBuf::from)?;
    if let Some(fault) = unfit(&path)
        && let Some(given) = s.get("tls_ca")
    {
        reader.fault(Some(given.place), given.field, fault);
    }
    Some(path)
}

/// Why nobody can be judged by it.
pub fn unfit(path: &Path) -> Option<Say> {
    let why = match std::fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return None,
        Ok(_) => "PEM".to_owned(),
        Err(error) => error.to_string(),
    };
    let shown = path.display();
    Some(say(
        format!("{shown} 读不了或不是 PEM 证书（{why}）"),
        format!("{shown} cannot be read or is no PEM certificate ({why})"),
    ))
}
