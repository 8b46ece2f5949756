//! The key that is in force, read anew whenever something is to be signed: a renewal beside the daemon is taken up, one
//! that was cut off is finished, and a key that is lost or is another log's is told.

use super::key::{REMEDY, SigningKey};
use super::{lock, settling};
use crate::duty::proof::PublicKey;
use crate::io::store::{InForce, Store, StoreError, wait};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Whoever signs for a log.
pub struct Signer {
    data: PathBuf,
    origin: String,
    store: Store,
    /// Read before: good for as long as it is in force, whatever becomes of its file.
    known: Mutex<Option<Arc<SigningKey>>>,
}

/// A key to sign with.
pub struct Ready {
    pub key: Arc<SigningKey>,
    /// What is wrong beside it, in Chinese and in English, with the remedy.
    pub fault: Option<(String, String)>,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    #[error("{0}")]
    Log(#[from] StoreError),
    #[error("密钥正在更换或备份，请再试一次 · the key is being renewed or backed up: try again")]
    Busy,
    /// It is lost, is none, or another log's.
    #[error("{zh}。{} · {en}. {}", REMEDY.0, REMEDY.1)]
    Unfit { zh: String, en: String },
}

/// Of a key that is still known to this daemon.
const KEPT: (&str, &str) = (
    "本次运行仍用内存中的密钥签名；请从备份恢复 signing.key，恢复前不要重启",
    "This run signs on with the one in memory: restore signing.key from a backup, and do not restart before",
);

impl NoKey {
    /// What is to be done about it, where that is with the key and not with the log.
    pub fn told(&self) -> Option<(String, String)> {
        match self {
            Self::Unfit { zh, en } => {
                Some((format!("{zh}。{}", REMEDY.0), format!("{en}. {}", REMEDY.1)))
            }
            Self::Log(_) | Self::Busy => None,
        }
    }
}

impl Signer {
    pub fn new(data: &Path, origin: String, store: Store) -> Self {
        Self { data: data.to_owned(), origin, store, known: Mutex::new(None) }
    }

    /// # Errors
    /// When there is no key of this log. Only a log that was never signed gets one, where `may_make`.
    pub async fn key(self: Arc<Self>, may_make: bool) -> Result<Ready, NoKey> {
        let read = tokio::task::spawn_blocking(move || self.key_now(may_make)).await;
        read.map_err(|error| StoreError::Bug(error.to_string()))?
    }

    /// As [`Signer::key`], for a thread that may wait: some seconds at most.
    ///
    /// # Errors
    /// As [`Signer::key`].
    pub fn key_now(&self, may_make: bool) -> Result<Ready, NoKey> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.read(known.as_deref(), may_make) {
            Ok((key, fault)) => {
                let key = Arc::new(key);
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Some(Arc::clone(&key));
                Ok(Ready { key, fault })
            }
            Err(NoKey::Unfit { zh, en }) => {
                let log = wait(self.store.key_in_force())?;
                match known.filter(|key| is_own(key, &log)) {
                    Some(key) => {
                        let (zh, en) = (format!("{zh}。{}", KEPT.0), format!("{en}. {}", KEPT.1));
                        Ok(Ready { key, fault: Some((zh, en)) })
                    }
                    None => Err(NoKey::Unfit { zh, en }),
                }
            }
            Err(other) => Err(other),
        }
    }

    fn read(
        &self,
        known: Option<&SigningKey>,
        may_make: bool,
    ) -> Result<(SigningKey, Option<(String, String)>), NoKey> {
        {
            let _folder = lock::shared(&self.data).map_err(busy)?;
            let log = wait(self.store.key_in_force())?;
            if let Ok(key) = self.load(&log, may_make)
                && settling::is_settled(&self.data)
            {
                return Ok((key, None));
            }
        }
        // Another one may be about to be put in its place, or was when the power failed.
        let _folder = lock::alone(&self.data).map_err(busy)?;
        let log = wait(self.store.key_in_force())?;
        let left = settling::settle(&self.data, &self.origin, log.renewal.as_ref());
        if let Some(key) = known.filter(|key| is_own(key, &log))
            && key.is_missing(&self.data)
            && key.write_back(&self.data).is_ok()
        {
            tracing::warn!("signing.key was gone, and was written anew from memory");
        }
        let key = self.load(&log, may_make)?;
        let left = left.unwrap_or_else(|fault| vec![fault.to_string()]).join("; ");
        Ok((key, (!left.is_empty()).then(|| undestroyed(&left))))
    }

    fn load(&self, log: &InForce, may_make: bool) -> Result<SigningKey, NoKey> {
        let read = match log.id {
            None if may_make => SigningKey::load_or_make(&self.data, &self.origin),
            _ => SigningKey::load(&self.data, &self.origin),
        };
        let unfit = |zh: &str, en: &str| NoKey::Unfit { zh: zh.to_owned(), en: en.to_owned() };
        let key = read.map_err(|fault| match fault.kind() {
            io::ErrorKind::NotFound => unfit("signing.key 不在", "signing.key is not there"),
            io::ErrorKind::InvalidData => unfit("signing.key 不是密钥", "signing.key is no key"),
            _ => unfit(
                &format!("signing.key 读不到（{fault}）"),
                &format!("signing.key cannot be read: {fault}"),
            ),
        })?;
        if !is_own(&key, log) {
            let (zh, en) = another(&key.public, log);
            return Err(NoKey::Unfit { zh, en });
        }
        if let Err(fault) = key.publish(&self.data) {
            tracing::warn!(%fault, "signing.pub is not what it should be");
        }
        Ok(key)
    }
}

fn busy(fault: io::Error) -> NoKey {
    match fault.kind() {
        io::ErrorKind::WouldBlock => NoKey::Busy,
        _ => NoKey::Log(StoreError::Unreadable(fault.to_string())),
    }
}

fn is_own(key: &SigningKey, log: &InForce) -> bool {
    match &log.renewal {
        Some(renewal) => renewal.to == key.public,
        None => log.id.is_none_or(|id| id == key.public.id()),
    }
}

fn another(found: &PublicKey, log: &InForce) -> (String, String) {
    let own = log.id.unwrap_or_default().map(|byte| format!("{byte:02x}")).concat();
    let found = found.hex_id();
    (
        format!("signing.key（{found}）不是本日志现用的密钥（{own}）"),
        format!("signing.key is {found}, and not this log's, which is {own}"),
    )
}

fn undestroyed(why: &str) -> (String, String) {
    (
        format!("更换后的原私钥没能销毁，请手工删除数据目录中的 signing.key.old*（{why}）"),
        format!(
            "The old private key could not be destroyed after a renewal: remove signing.key.old* in the data folder by hand ({why})"
        ),
    )
}
