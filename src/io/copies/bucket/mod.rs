//! Second copies in a bucket of an S3-compatible store: one object for each file, which is whole or not there, as a PUT is
//! taken whole or not at all. Whoever asks waits, on a thread and a runtime of its own, each request with a limit.

mod told;
mod wire;

use super::file::{self, Fault, Sight, below};
use crate::config::copies::Bucket as Plan;
use crate::io::channels::guard::Guard;
use crate::io::channels::http::Http;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, Result as StoreResult,
};
use sha2::{Digest, Sha256};
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_stream::StreamExt;
use wire::{Refusal, Upload, refusal};

/// What does not move for so long is given up.
const WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Bucket {
    plan: Arc<Plan>,
    /// Made when it is asked for the first time.
    http: Arc<OnceLock<Http>>,
    within: Duration,
}

/// A bucket that is spoken to, for as long as one thing takes.
struct Open<'a> {
    store: AmazonS3,
    plan: &'a Plan,
}

impl Bucket {
    pub fn new(plan: Plan) -> Self {
        Self { plan: Arc::new(plan), http: Arc::default(), within: WITHIN }
    }

    /// Puts `path` of `own` there, unless the same content is there already, and reads it back. What is there and is
    /// another content is put aside under a name of its own.
    ///
    /// # Errors
    /// Whether the recording or the store is at fault.
    pub fn copy(&self, own: &Path, path: &Path, sha256: &str) -> Result<(), Fault> {
        let from = below(own, path).map_err(Fault::Own)?;
        let open = self.open().map_err(Fault::Copy)?;
        let there = run(open.find(path)).map_err(Fault::Copy)?;
        if there.as_deref() == Some(sha256) {
            return Ok(());
        }
        let at = |why: &str| Fault::Own(format!("{}: {why}", from.display()));
        match file::digest(&from) {
            Ok(digest) if digest == sha256 => {}
            Ok(_) => return Err(at("is not what the log says")),
            Err(fault) => return Err(at(&fault.to_string())),
        }
        run(async {
            if there.is_some() {
                open.put_aside(path).await?;
            }
            open.put(&from, path).await?;
            if open.find(path).await?.as_deref() == Some(sha256) {
                return Ok(());
            }
            // It goes now, or the next try puts it aside.
            let _ = open.store.delete(&open.key(path)?).await;
            Err(says(&self.plan, told::OTHERWISE.0, told::OTHERWISE.1))
        })
        .map_err(Fault::Copy)
    }

    /// Whether the newest counted copy is there.
    ///
    /// # Errors
    /// Why the bucket cannot be looked into.
    pub fn look(&self, newest: Option<&Path>) -> Result<Sight, String> {
        let open = self.open()?;
        run(async {
            let Some(newest) = newest else {
                return open.list(Path::new("")).await.map(|_| Sight::Whole);
            };
            let listed = match open.store.head(&open.key(newest)?).await {
                Ok(_) => return Ok(Sight::Whole),
                Err(error) if is_absent(&error) => {
                    open.list(Path::new("")).await?;
                    return Ok(Sight::Lacking);
                }
                // One object may be refused by a store that gives all others.
                Err(_) => open.list(newest.parent().unwrap_or(Path::new(""))).await?,
            };
            let there = listed.iter().any(|path| path == newest);
            Ok(if there { Sight::Whole } else { Sight::Lacking })
        })
    }

    /// SHA-256 in hex of the object, or nothing where there is none.
    ///
    /// # Errors
    /// Why nobody can say.
    pub fn find(&self, path: &Path) -> Result<Option<String>, String> {
        let open = self.open()?;
        run(open.find(path))
    }

    /// Gives the object piece by piece; false where there is none.
    ///
    /// # Errors
    /// Why it cannot be had, and those of `take`.
    pub fn fetch(
        &self,
        path: &Path,
        take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, String> {
        let open = self.open()?;
        run(open.fetch(path, take))
    }

    /// SHA-256 in hex of the object.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn digest(&self, path: &Path) -> Result<String, String> {
        self.find(path)?.ok_or_else(|| format!("{self}/{}: 不见了 · is gone", path.display()))
    }

    /// # Errors
    /// Why nobody can say.
    pub fn is_there(&self, path: &Path) -> Result<bool, String> {
        let open = self.open()?;
        run(open.is_there(path))
    }

    /// What lies in this folder of the bucket.
    ///
    /// # Errors
    /// Why it cannot be seen.
    pub fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        let open = self.open()?;
        run(open.list(folder))
    }

    /// Deletes the object and asks whether it is gone; what is not there is gone already.
    ///
    /// # Errors
    /// Why it may be there still, such as a version that the store keeps or a lock.
    pub fn remove(&self, path: &Path) -> Result<(), String> {
        let open = self.open()?;
        run(async {
            let key = open.key(path)?;
            let before = open.store.head(&key).await.err();
            if before.as_ref().is_some_and(is_hidden) {
                // Deleted once more, it would only be marked once more.
                return Err(says(&self.plan, told::HIDDEN.0, told::HIDDEN.1));
            }
            match open.store.delete(&key).await {
                Ok(()) => {}
                Err(error) if is_hidden(&error) => {
                    // What is not there is marked as well; who shows that now would have shown it before.
                    let shown = open.store.head(&key).await.is_err_and(|error| is_hidden(&error));
                    if shown && before.as_ref().is_some_and(is_absent) {
                        return Ok(());
                    }
                    return Err(says(&self.plan, told::HIDDEN.0, told::HIDDEN.1));
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => {
                    let (zh, en) = told::not_deleted(&error);
                    return Err(says(&self.plan, &zh, &en));
                }
            }
            open.is_gone(path).await
        })
    }

    fn open(&self) -> Result<Open<'_>, String> {
        let store = self.http().and_then(|http| wire::connect(&self.plan, http, self.within));
        let store = store.map_err(|why| format!("{self}: {why}"))?;
        Ok(Open { store, plan: &self.plan })
    }

    fn http(&self) -> Result<Http, String> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        let http = Http::new(Guard { allow: self.plan.allow.clone() }, self.plan.ca.as_deref())?;
        Ok(self.http.get_or_init(|| http).clone())
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(out)
    }
}

impl Open<'_> {
    /// Its SHA-256 in hex, or nothing where there is no such object.
    async fn find(&self, path: &Path) -> Result<Option<String>, String> {
        let mut hash = Sha256::new();
        let there = self.fetch(path, |piece| {
            hash.update(piece);
            Ok(())
        });
        Ok(there.await?.then(|| hex::encode(hash.finalize())))
    }

    async fn fetch(
        &self,
        path: &Path,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, String> {
        let answer = match self.store.get(&self.key(path)?).await {
            Ok(answer) => answer,
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(self.told(&error)),
        };
        let mut pieces = answer.into_stream();
        loop {
            match pieces.next().await {
                Some(Ok(piece)) => take(&piece).map_err(|fault| fault.to_string())?,
                Some(Err(error)) => return Err(self.told(&error)),
                None => return Ok(true),
            }
        }
    }

    async fn put(&self, from: &Path, path: &Path) -> Result<(), String> {
        let mut options = PutOptions::default();
        options.extensions.insert(Upload(from.to_owned()));
        let put = self.store.put_opts(&self.key(path)?, PutPayload::new(), options).await;
        self.done(put.map(drop))
    }

    /// Kept for examination, never overwritten.
    async fn put_aside(&self, path: &Path) -> Result<(), String> {
        for count in 1..100 {
            let mut aside = path.as_os_str().to_owned();
            aside.push(format!(".damaged-{count}"));
            let aside = Path::new(&aside);
            if !self.is_there(aside).await? {
                let copied = self.store.copy(&self.key(path)?, &self.key(aside)?).await;
                return self.done(copied);
            }
        }
        Err(says(self.plan, "同名的损坏件太多", "too many damaged objects of one name"))
    }

    async fn is_there(&self, path: &Path) -> Result<bool, String> {
        match self.store.head(&self.key(path)?).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            // The answer to a HEAD has no body that says why.
            Err(error) => {
                Err(self.list(Path::new("")).await.err().unwrap_or_else(|| self.told(&error)))
            }
        }
    }

    async fn is_gone(&self, path: &Path) -> Result<(), String> {
        let (zh, en) = match self.store.head(&self.key(path)?).await {
            Ok(_) => told::STILL_THERE,
            Err(error) if is_hidden(&error) => told::HIDDEN,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(self.told(&error)),
        };
        Err(says(self.plan, zh, en))
    }

    async fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        let key = self.key(folder)?;
        let found = self.store.list_with_delimiter(Some(&key)).await;
        let found = found.map_err(|error| self.told(&error))?;
        let root = Path::new(&self.plan.prefix);
        let inside = found.objects.into_iter().filter_map(|object| {
            Path::new(object.location.as_ref()).strip_prefix(root).ok().map(Path::to_owned)
        });
        Ok(inside.collect())
    }

    /// No row leads out of the prefix.
    fn key(&self, path: &Path) -> Result<Key, String> {
        let path = below(Path::new(&self.plan.prefix), path)?;
        let name = path.to_str().ok_or_else(|| format!("{}: no UTF-8", path.display()))?;
        Key::parse(name).map_err(|error| error.to_string())
    }

    fn done(&self, result: StoreResult<()>) -> Result<(), String> {
        result.map_err(|error| self.told(&error))
    }

    fn told(&self, error: &Error) -> String {
        let (zh, en) = told::told(error);
        says(self.plan, &zh, &en)
    }
}

fn says(plan: &Plan, zh: &str, en: &str) -> String {
    format!("{plan}: {zh} · {en}")
}

fn is_absent(error: &Error) -> bool {
    matches!(refusal(error), Some(Refusal::Answer { status: 404, code, .. }) if code != "NoSuchBucket")
}

fn is_hidden(error: &Error) -> bool {
    matches!(refusal(error), Some(Refusal::Answer { hidden: true, .. }))
}

/// On a runtime that ends with it: nothing of it is done by those that serve the page and the telephone.
fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| fault.to_string())?;
    let done = runtime.block_on(work);
    // A name server that hangs is not waited for.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
pub mod tests;
