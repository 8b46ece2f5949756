//! `dutyline key renew`: the old key signs the new one, in a row of the log and where heads are sent to; then its private
//! half is destroyed. Cut off anywhere, it is undone before that row and finished after it by whoever wants to sign next.

use super::key::{self, REMEDY, SigningKey};
use super::lock;
use super::settling::{new_path, settle};
use super::witness::{self, Folder, Sending};
use crate::duty::proof::PublicKey;
use crate::io::clock;
use crate::io::store::{Renewing, Store};
use anyhow::{Context, bail};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What is wanted.
pub struct Wanted {
    pub data: PathBuf,
    /// Where heads go to, beside the data folder's own.
    pub folders: Vec<PathBuf>,
    /// The old key is lost; its public half, where even that is not on this host any more.
    pub lost: bool,
    pub old: Option<PublicKey>,
    pub reason: String,
}

/// What was done.
pub struct Done {
    pub old: Option<PublicKey>,
    pub new: PublicKey,
    /// The last head of the old key; those after it are the new one's.
    pub last: u64,
    /// Folders that did not take it: the daemon sends it there again.
    pub unsent: Vec<String>,
    /// What is left to be done, by the next who signs.
    pub left: Vec<String>,
}

impl Wanted {
    /// # Errors
    /// When the key is not as it is said to be, or something cannot be written: then the old one stays in force, or the
    /// rest is done by the next who signs.
    pub async fn renew(&self, store: &Store) -> anyhow::Result<Done> {
        if self.lost && self.reason.is_empty() {
            bail!("--lost 要写明原因 · --lost takes a reason");
        }
        let origin = store.origin().await?;
        let own = Folder::new(witness::own_folder(&self.data)?)?;
        let others =
            self.folders.iter().cloned().map(Folder::new).collect::<io::Result<Vec<_>>>()?;
        let folder = lock::alone(&self.data).context(
            "密钥正在更换或备份，请稍后再试 · it is being renewed or backed up: try again",
        )?;
        let before = store.key_in_force().await?;
        settle(&self.data, &origin, before.renewal.as_ref())?;
        let Some(id) = before.id else {
            bail!(
                "本日志还没有签过名，没有可换的密钥 · nothing was signed yet: there is no key to renew"
            )
        };
        let (old, from) = self.old(&origin, id, before.renewal.map(|renewal| renewal.to))?;
        if let Some(old) = &old {
            store.sign_head(Arc::clone(old), clock::now).await?;
        }
        let new = Arc::new(SigningKey::make(&self.data, &new_path(&self.data), &origin)?);
        let renewing = Renewing {
            old,
            from: from.clone(),
            new: Arc::clone(&new),
            reason: self.reason.clone(),
        };
        let renewal = store.renew_key(renewing, clock::now()).await?;
        let renewal =
            renewal.context("密钥已被别人更换，请重看 · somebody else renewed it: look again")?;
        // From here on it is done, whatever becomes of the rest.
        let mut left = match settle(&self.data, &origin, Some(&renewal)) {
            Ok(left) => left,
            Err(fault) => vec![fault.to_string()],
        };
        drop(folder);
        let head = store.sign_head(Arc::clone(&new), clock::now).await;
        let renewals = store.key_renewals().await;
        let unsent = match head.and_then(|head| Ok(Sending { head, renewals: renewals? })) {
            Ok(sending) => {
                let folders: Vec<Folder> = std::iter::once(own).chain(others).collect();
                witness::send(&folders, sending).await
            }
            Err(error) => {
                left.push(error.to_string());
                vec![]
            }
        };
        Ok(Done { old: from, new: new.public.clone(), last: renewal.head, unsent, left })
    }

    /// The key that is in force, and what is known of its public half.
    fn old(
        &self,
        origin: &str,
        id: [u8; 4],
        renewed: Option<PublicKey>,
    ) -> anyhow::Result<(Option<Arc<SigningKey>>, Option<PublicKey>)> {
        let current = SigningKey::load(&self.data, origin).ok();
        match (current.filter(|key| key.public.id() == id), self.lost) {
            (Some(key), false) => {
                let public = key.public.clone();
                Ok((Some(Arc::new(key)), Some(public)))
            }
            (None, true) => Ok((None, self.public(renewed, id)?)),
            (Some(_), true) => bail!(
                "现用的密钥还在，不是遗失：去掉 --lost · the key in force is here: renew it without --lost"
            ),
            (None, false) => bail!(
                "signing.key 不是现用的密钥。{} · is not the key in force. {}",
                REMEDY.0,
                REMEDY.1
            ),
        }
    }

    /// The lost key's public half, by which what it signed can still be checked.
    fn public(&self, renewed: Option<PublicKey>, id: [u8; 4]) -> anyhow::Result<Option<PublicKey>> {
        let kept = fs::read_to_string(key::public_path(&self.data)).ok();
        let kept = kept.and_then(|text| PublicKey::parse(&text));
        let found = renewed.into_iter().chain(kept).chain(self.old.clone());
        let found = found.into_iter().find(|key| key.id() == id);
        if found.is_none() && self.old.is_some() {
            bail!("--old 不是原先的公钥 · --old is not the key that signed this log");
        }
        Ok(found)
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { old, new, last, left, .. } = self;
        let shown = old.as_ref().map_or_else(|| "?".to_owned(), PublicKey::to_string);
        writeln!(out, "原公钥 · old（签名至第 {last} 号 · heads up to {last}）: {shown}")?;
        writeln!(out, "新公钥 · new（其后 · the heads after it）: {new}")?;
        for left in left {
            writeln!(out, "未完，下次签名时再办 · not done yet, and tried again: {left}")?;
        }
        writeln!(
            out,
            "请把新公钥另处抄存，并立即 dutyline backup：旧备份里没有现用的私钥；谁拿到旧备份里的原私钥，仍能仿造更换前的签名，新备份完成后应销毁 · write the new public key down elsewhere, and run `dutyline backup` now: no backup has the key in force, and whoever has the old one can still forge what was before, so destroy the older copies of it then"
        )
    }
}
