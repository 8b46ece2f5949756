//! The files of a key renewal, brought in line with the log.
//!
//! ```text
//!  signing.key.new      made; nobody uses it before the row
//!  the row              from here on the old key signs nothing
//!  signing.key.old-1    the old one, put aside, then the new one is signing.key
//!                       overwritten, and gone
//! ```

use super::key::{self, SigningKey};
use crate::duty::proof::Renewal;
use crate::io::durable;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const OLD: &str = "signing.key.old-";

pub(super) fn new_path(data: &Path) -> PathBuf {
    data.join("signing.key.new")
}

/// What was put aside and is not destroyed yet.
fn old_ones(data: &Path) -> Vec<PathBuf> {
    let Ok(all) = fs::read_dir(data) else { return vec![] };
    let names = all.flatten().filter(|file| file.file_name().to_string_lossy().starts_with(OLD));
    names.map(|file| file.path()).collect()
}

/// Nothing is left of a renewal.
pub(super) fn is_settled(data: &Path) -> bool {
    !is_there(&new_path(data)) && old_ones(data).is_empty()
}

/// Brings the files in line with the newest renewal that the log has a row of; what could not be destroyed. Whoever calls
/// it is alone with the folder.
///
/// # Errors
/// The disk's.
pub fn settle(data: &Path, origin: &str, newest: Option<&Renewal>) -> io::Result<Vec<String>> {
    let (own, new) = (key::secret_path(data), new_path(data));
    let in_force = |path: &Path| {
        SigningKey::read(path, origin).is_ok_and(|key| newest.is_some_and(|it| it.to == key.public))
    };
    if !in_force(&own) && in_force(&new) {
        put_aside(data, origin, newest)?;
        durable::rename(&new, &own)?;
        durable::sync_folder(data)?;
        SigningKey::load(data, origin)?.publish(data)?;
    }
    // What is new then was made for a row that was never written.
    let mut doomed: Vec<PathBuf> = is_there(&new).then_some(new).into_iter().collect();
    if in_force(&own) {
        doomed.extend(old_ones(data));
    }
    let destroyed = doomed.iter().map(|path| destroy(data, path));
    let failed = destroyed
        .zip(&doomed)
        .filter_map(|(done, path)| done.err().map(|fault| format!("{}: {fault}", path.display())));
    Ok(failed.collect())
}

/// Only what the new key has followed is to be destroyed: what else lies there may be somebody's only key.
fn put_aside(data: &Path, origin: &str, newest: Option<&Renewal>) -> io::Result<()> {
    let own = key::secret_path(data);
    if !is_there(&own) {
        return Ok(());
    }
    let followed = SigningKey::load(data, origin).is_ok_and(|key| {
        newest.is_some_and(|it| !it.lost && it.from.as_ref() == Some(&key.public))
    });
    let name = if followed { OLD } else { "signing.key.unfit-" };
    let aside = (1..).map(|n| data.join(format!("{name}{n}"))).find(|to| !is_there(to));
    aside.map_or(Ok(()), |aside| durable::rename(&own, &aside))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Overwritten first, as far as the disk does so in place; taken away in any case.
fn destroy(data: &Path, path: &Path) -> io::Result<()> {
    let overwritten = overwrite(path);
    durable::remove(path)?;
    durable::sync_folder(data)?;
    overwritten
}

fn overwrite(path: &Path) -> io::Result<()> {
    let length = usize::try_from(path.symlink_metadata()?.len()).unwrap_or(0);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![0; length.min(4096)])?;
    file.sync_all()
}
