//! Why the log could not be read or written, and how that is mended.

use rusqlite::ErrorCode;
use std::path::PathBuf;

/// Nothing was written. The caller decides whether to try again; the store goes on working.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full")]
    Full,
    #[error("another process keeps the log locked")]
    Locked,
    #[error("the log cannot be read or written: {0}")]
    Unreadable(String),
    /// Its file was moved away, deleted, or another was put in its place, while it was in use.
    #[error("the log is no more what was opened: {0}")]
    Replaced(String),
    /// There was one, which is not there when a run begins.
    #[error("the log is not there: {0}")]
    Missing(String),
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The database is no database any more, SQLite says.
    #[error("the log's file is damaged: {0}")]
    Corrupt(String),
    #[error("the log has schema {found}, this program knows {known}")]
    Newer { found: i64, known: i64 },
    #[error("SQLite {0} loses commits; 3.51.3 or later is needed")]
    OldSqlite(String),
    #[error("the data folder is in use by {holder}")]
    Held { folder: PathBuf, holder: String },
    #[error("too much waits to be written")]
    Overloaded,
    #[error("the answer took too long and was given up")]
    TooLong,
    #[error("the log has been closed")]
    Closed,
    #[error("the signing key has been renewed")]
    KeyRenewed,
    /// A row that must be there is not, a constraint was broken: our mistake.
    #[error("the log refused a write: {0}")]
    Bug(String),
}

impl StoreError {
    /// Whether the same write may succeed later without anybody changing the program.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Full
            | Self::Locked
            | Self::Unreadable(_)
            | Self::Replaced(_)
            | Self::Overloaded => true,
            Self::Missing(_)
            | Self::Damaged(_)
            | Self::Corrupt(_)
            | Self::Newer { .. }
            | Self::OldSqlite(_)
            | Self::Held { .. }
            | Self::TooLong
            | Self::Closed
            | Self::KeyRenewed
            | Self::Bug(_) => false,
        }
    }

    /// Nothing of this write is at fault: the database is, which somebody has to mend.
    pub fn is_of_the_log(&self) -> bool {
        match self {
            Self::Corrupt(_)
            | Self::Unreadable(_)
            | Self::Replaced(_)
            | Self::Missing(_)
            | Self::Newer { .. }
            | Self::OldSqlite(_) => true,
            Self::Full
            | Self::Locked
            | Self::Damaged(_)
            | Self::Held { .. }
            | Self::Overloaded
            | Self::TooLong
            | Self::Closed
            | Self::KeyRenewed
            | Self::Bug(_) => false,
        }
    }

    /// What has its name, if anything has, is not to be read, either.
    pub fn keeps_from_reading(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Newer { .. } | Self::OldSqlite(_))
    }

    /// Whoever can wait should: it passes, or the log is mended and opened again.
    pub fn is_worth_waiting_for(&self) -> bool {
        self.may_pass() || self.is_of_the_log()
    }

    /// What to do about it, in Chinese and in English.
    pub fn remedy(&self) -> (String, String) {
        let (zh, en) = match self {
            Self::Full => ("磁盘已满，请清理数据盘空间", "free some space on the data disk"),
            Self::Locked => (
                "数据库被其他程序占用，请关闭打开数据库的程序",
                "close the program that has the database open",
            ),
            Self::Unreadable(_) => (
                "数据库无法读写，请检查数据目录的权限和磁盘",
                "check the data folder's permissions and its disk",
            ),
            Self::Replaced(_) => (
                "数据库文件被移走、删除或换成了别的文件。要换时先移走，不要直接覆盖；换上的文件检查无误后自动使用，原来的 -wal、-shm 已改名为 .aside-1 等留存，请勿删除；被删除的会自动放回，放不回时请清理数据盘空间，放回之前不要重启服务",
                "it was moved, deleted or another file was put in its place. To put another there, move it away first, do not copy over it: that is used once it is found sound, and the -wal and -shm of the one before are kept as .aside-1 and so on: do not delete them. A deleted one is put back by itself; where it is not, free some space on the data disk, and do not restart the service before it is",
            ),
            Self::Missing(_) => (
                "数据库文件不在了：请检查数据盘是否挂载，并把它连同 -wal 或备份放回，放回后自动使用；确要另立新记录的，先把数据目录里的 heads 和 signing.key 移走留存，再重启服务",
                "see whether the data disk is mounted, and put it back with its -wal, or a backup: that is used at once. To begin a new log, move heads and signing.key out of the data folder and keep them, then restart the service",
            ),
            Self::Damaged(_) => (
                "数据库损坏，请停止服务，把它连同 -wal、-shm 移走（不要直接覆盖），再放回备份",
                "stop the service, move it away with its -wal and -shm (do not copy over it), then put a backup in its place",
            ),
            Self::Corrupt(_) => (
                "数据库文件损坏，请把它连同 -wal、-shm 移走留存（不要直接覆盖），再放回备份，放回后自动使用",
                "move it away and keep it, with its -wal and -shm (do not copy over it), then put a backup in its place: that is used at once",
            ),
            Self::Newer { .. } => (
                "数据库由更新版本写入，请装回该版本并重启服务，此前它一个字节也不会被改动",
                "the database was written by a newer version: install that version and restart the service; until then not a byte of it is changed",
            ),
            Self::OldSqlite(_) => {
                ("程序构建有误，请重新构建", "the program was built wrongly: build it again")
            }
            Self::Held { .. } => (
                "数据目录正被另一个值班服务使用，请先停止它",
                "another daemon uses this data folder: stop it first",
            ),
            Self::Overloaded => ("写入排队过多，请检查磁盘速度", "check the speed of the disk"),
            Self::TooLong => {
                ("查询过宽，请增加条件或缩小日期范围", "ask for less: more words, fewer days")
            }
            Self::Closed => ("服务正在停止", "the service is stopping"),
            Self::KeyRenewed => {
                ("签名密钥刚更换，请再试一次", "the key was just renewed: try again")
            }
            Self::Bug(_) => ("程序错误，请联系维护人员", "a fault of the program: report it"),
        };
        (zh.to_owned(), en.to_owned())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::OperationInterrupted) => Self::TooLong,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(why),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Unreadable(why),
            Some(_) | None => Self::Bug(why),
        }
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;
