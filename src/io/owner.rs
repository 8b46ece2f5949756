//! Who owns the data folder: what an administrator's command makes in it must be the daemon's to read and write.

use anyhow::bail;
use std::ffi::CString;
use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::Path;

const ROOT: u32 = 0;

/// An empty file for somebody to fill; root makes it for whoever owns the folder.
///
/// # Errors
/// The disk's, or that it is there already.
pub fn make_for_owner(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    give_to_owner(path)
}

/// As root: what was just made is of whoever owns its folder.
///
/// # Errors
/// The disk's.
pub fn give_to_owner(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let folder = fs::metadata(if folder == Path::new("") { Path::new(".") } else { folder })?;
    match myself()? {
        ROOT if folder.uid() != ROOT => chown(path, Some(folder.uid()), Some(folder.gid())),
        _ => Ok(()),
    }
}

/// Whoever owns the log: what another one makes could not be read by the daemon.
///
/// # Errors
/// When this is somebody else, or it cannot be seen.
pub fn be_the_owner(data: &Path, command: &str) -> anyhow::Result<()> {
    let Ok(log) = fs::metadata(data.join("dutyline.db")) else { return Ok(()) };
    if myself()? != log.uid() {
        bail!(
            "请以值班服务的用户运行（如 sudo -u dutyline dutyline {command} …） · run this as the daemon's user, such as: sudo -u dutyline dutyline {command} …"
        );
    }
    Ok(())
}

/// Whether this process can make files in the folder, or could make the folder itself.
///
/// # Errors
/// Why it cannot.
pub fn may_write(folder: &Path) -> io::Result<()> {
    let mut there = folder;
    let found = loop {
        match fs::metadata(there) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => match there.parent() {
                Some(above) if above == Path::new("") => there = Path::new("."),
                Some(above) => there = above,
                None => return Err(fault),
            },
            found => break found?,
        }
    };
    if !found.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
    }
    let path = CString::new(there.as_os_str().as_bytes())?;
    let wanted = libc::W_OK | libc::X_OK;
    // SAFETY: the path is a C string that lives for as long as the call.
    match unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), wanted, libc::AT_EACCESS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the user of these numbers could, as far as the folder's mode tells.
pub fn could_write(folder: &Metadata, (uid, gid): (u32, u32)) -> bool {
    let shift = match folder {
        _ if uid == ROOT => return true,
        folder if folder.uid() == uid => 6,
        folder if folder.gid() == gid => 3,
        _ => 0,
    };
    (folder.mode() >> shift) & 0o3 == 0o3
}

/// Whose rights this process has.
///
/// # Errors
/// When it cannot be seen.
pub fn myself() -> io::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_is_judged_by_the_rights_of_whoever_is_to_write_there() {
        let folder = tempfile::tempdir().unwrap();
        let is = |mode: u32, who: (u32, u32)| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            could_write(&fs::metadata(folder.path()).unwrap(), who)
        };
        let own = fs::metadata(folder.path()).unwrap();
        let (uid, gid) = (own.uid(), own.gid());
        assert!(is(0o000, (ROOT, 7)), "root may everything");
        assert!(!is(0o755, (uid + 4711, gid + 4711)), "others only read");
        assert!(is(0o777, (uid + 4711, gid + 4711)));
        assert!(is(0o770, (uid + 4711, gid)) && !is(0o750, (uid + 4711, gid)));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn what_is_no_folder_takes_no_file_and_one_that_is_missing_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(may_write(&folder.path().join("not/there/yet")).is_ok());
        fs::write(folder.path().join("file"), "x").unwrap();
        let fault = may_write(&folder.path().join("file")).unwrap_err();
        assert_eq!(fault.raw_os_error(), Some(libc::ENOTDIR));
        let fault = may_write(&folder.path().join("file/below")).unwrap_err();
        assert_eq!(fault.raw_os_error(), Some(libc::ENOTDIR));
    }
}
