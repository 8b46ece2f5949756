//! The log as a command finds it, beside the daemon or without it.

use crate::config::Config;
use crate::io::store::Store;
use crate::io::{clock, owner};
use anyhow::{Context, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::{PathBuf, absolute};

/// Nothing is made.
///
/// # Errors
/// Where there is no log, or none that can be opened.
pub fn open(config: &Config) -> anyhow::Result<Store> {
    let log = log(config)?;
    Store::open_beside(&log, clock::random()).with_context(|| format!("{}", log.display()))
}

/// Before the first run there is none; it is of whoever owns the folder.
///
/// # Errors
/// Where there is no folder, or the log cannot be made or opened.
pub fn open_or_make(config: &Config) -> anyhow::Result<Store> {
    let log = folder(config)?.join("dutyline.db");
    if let Err(fault) = owner::make_for_owner(&log)
        && fault.kind() != ErrorKind::AlreadyExists
    {
        return Err(fault).with_context(|| format!("{}", log.display()));
    }
    open(config)
}

/// Where the log is.
///
/// # Errors
/// Where there is none.
pub fn log(config: &Config) -> anyhow::Result<PathBuf> {
    let log = folder(config)?.join("dutyline.db");
    if !log.exists() {
        bail!(
            "{}: 没有值班记录。若文件夹不对，请检查 storage.data 和当前目录 · there is no log; where this is the wrong folder, see storage.data and the working directory",
            log.display()
        );
    }
    Ok(log)
}

/// Relative paths begin at the working directory, which the unit has set for the daemon.
fn folder(config: &Config) -> anyhow::Result<PathBuf> {
    let data = &config.storage.data;
    let place = absolute(data).unwrap_or_else(|_| data.clone());
    let shown = place.display();
    let (zh, en) = match fs::metadata(&place) {
        Ok(found) if found.is_dir() => return Ok(place),
        Ok(_) => ("不是文件夹", "is no folder"),
        Err(fault) if fault.kind() == ErrorKind::PermissionDenied => bail!(
            "storage.data = {shown}: 没有权限查看，请以 root 或值班服务的用户运行 · may not be looked into: run this as root or as the daemon's user"
        ),
        Err(_) => ("没有这个文件夹", "there is no such folder"),
    };
    bail!(
        "storage.data = {shown}: {zh}：先以本程序的用户运行一次 dutyline run。相对路径从当前目录算起：请先进入服务的工作目录（systemd 单元的 WorkingDirectory，如 cd /var/lib/dutyline） · {en}: run `dutyline run` once, as its own user; a relative path begins at the working directory: go to the unit's WorkingDirectory first, such as cd /var/lib/dutyline"
    )
}
