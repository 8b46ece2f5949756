//! Which urgent matters are not over, beside the log: read only where a next run cannot use that, or it is older.

use crate::duty::escalation::{Escalation, Matter};
use chrono::{DateTime, Utc};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tracing::warn;

/// More are in the log only.
const MATTERS_MAX: usize = 1000;

/// **Told of everything that is not over each time something may have changed.**
#[derive(Debug)]
pub struct OpenMatters {
    path: PathBuf,
    /// `None`: not known to be on the disk.
    kept: Option<Vec<Matter>>,
}

impl OpenMatters {
    pub fn at(path: PathBuf) -> Self {
        Self { path, kept: None }
    }

    /// Written where it has changed. What cannot be written is tried again with the next change.
    pub async fn keep(&mut self, known: &[Escalation]) {
        let open: Vec<Matter> = known.iter().filter_map(Matter::of).take(MATTERS_MAX).collect();
        if self.kept.as_ref() == Some(&open) {
            return;
        }
        let (path, matters) = (self.path.clone(), open.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &matters)).await;
        self.kept = match written {
            Ok(Ok(())) => Some(open),
            Ok(Err(error)) => {
                warn!(%error, "what is open is not kept beside the log");
                None
            }
            Err(_) => None,
        };
    }
}

/// What an earlier run left; nothing where that cannot be read.
pub fn recall(path: &Path) -> Vec<Matter> {
    let mut matters = read(path).unwrap_or_else(|error| {
        // It is not there at the first run.
        if error.kind() != io::ErrorKind::NotFound {
            warn!(%error, "what was open is not known");
        }
        vec![]
    });
    matters.truncate(MATTERS_MAX);
    matters
}

/// When this was all that was open; `None` where that is not known.
pub fn all_at(path: &Path) -> Option<DateTime<Utc>> {
    let written = fs::metadata(path).and_then(|file| file.modified()).ok()?;
    read(path).is_ok_and(|matters| matters.len() < MATTERS_MAX).then(|| written.into())
}

fn read(path: &Path) -> io::Result<Vec<Matter>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(path: &Path, matters: &[Matter]) -> io::Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, serde_json::to_vec(matters)?)?;
    fs::File::open(&next)?.sync_all()?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::ids::EntryId;
    use crate::duty::journal::Urgency;

    #[test]
    fn esc_71_what_is_no_list_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open-matters");
        assert_eq!((recall(&path), all_at(&path)), (vec![], None));
        for text in ["", "[", "{}", "[1]", "\u{0}\u{0}"] {
            fs::write(&path, text).unwrap();
            assert_eq!((recall(&path), all_at(&path)), (vec![], None), "{text:?}");
        }
        let entry = EntryId(uuid::Uuid::from_u128(7));
        let one = Matter::new(entry, Urgency::Critical);
        let old = format!(r#"[{{"entry":"{entry}","urgency":"critical"}}]"#);
        fs::write(&path, old).unwrap();
        assert_eq!(recall(&path), std::slice::from_ref(&one), "an earlier program wrote it");
        assert!(all_at(&path).is_some());
        let many = vec![one; MATTERS_MAX + 9];
        write(&path, &many).unwrap();
        assert_eq!(recall(&path).len(), MATTERS_MAX);
        assert_eq!((&recall(&path)[0], all_at(&path)), (&many[0], None));
    }
}
