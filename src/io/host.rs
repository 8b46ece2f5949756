//! `dutyline check-config`: what of the configured folders cannot work on this host.

use super::owner;
use crate::config::Storage;
use crate::config::copies::Copies;
use crate::duty::rehearsal::Finding;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, absolute};

/// Whoever owns the data folder is the daemon's user: told by him, what he cannot write is refused.
pub fn findings(storage: &Storage) -> Vec<Finding> {
    let mut found = vec![];
    let daemon = fs::metadata(&storage.data).ok().map(|data| (data.uid(), data.gid()));
    for (key, folder) in [("data", &storage.data), ("recordings", &storage.recordings)] {
        found.extend(unwritable(key, folder, daemon));
    }
    if let Some(Copies::Folder(folder)) = &storage.copies
        && !folder.is_dir()
    {
        let shown = shown(folder);
        found.push(Finding {
            refused: false,
            zh: format!("storage.copies = {shown}：没有这个文件夹，录音存不了第二份；请挂载那块盘或新建文件夹"),
            en: format!("storage.copies = {shown}: there is no such folder, and no recording is kept twice: mount its disk or make it"),
        });
    }
    found
}

fn unwritable(key: &str, folder: &Path, daemon: Option<(u32, u32)>) -> Option<Finding> {
    let is_daemon = daemon.is_some_and(|(uid, _)| owner::myself().is_ok_and(|own| own == uid));
    let can = |found: Metadata| {
        found.is_dir() && daemon.is_none_or(|daemon| owner::could_write(&found, daemon))
    };
    let well = match is_daemon {
        true => owner::may_write(folder).is_ok(),
        false => fs::metadata(folder).map_or(true, can),
    };
    let shown = shown(folder);
    (!well).then(|| Finding {
        refused: is_daemon,
        zh: format!("storage.{key} = {shown}：值班服务的用户写不了；请用 chown 把文件夹交给他，并确认它是文件夹、磁盘可写"),
        en: format!("storage.{key} = {shown}: the daemon's user cannot write there: chown it to him, and see that it is a folder on a disk that can be written"),
    })
}

/// A relative path begins at the working directory.
fn shown(path: &Path) -> String {
    absolute(path).as_deref().unwrap_or(path).display().to_string()
}
