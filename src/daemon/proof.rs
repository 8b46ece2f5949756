//! The log's key and its witness. The telephone and the log work without them.

use crate::config::Config;
use crate::io::channels::heads::Heads;
use crate::io::clock;
use crate::io::proof::signer::Signer;
use crate::io::proof::witness::{self, Folder, Sending, Witness};
use crate::io::status::{Alarm, Board};
use crate::io::store::Store;
use anyhow::Context;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// Heads that wait while one is on its way.
const HEADS_WAITING: usize = 16;

/// None, with an alarm, where there is no log or no folder. A key that is lost is not made anew: heads of another would
/// look like somebody's hand.
pub async fn witness(
    config: &Config,
    store: &Store,
    board: &Board,
    stopping: &CancellationToken,
) -> Option<Witness> {
    match open(config, store, board).await {
        Ok(witness) => Some(Witness { hook: hook(config, board, stopping), ..witness }),
        Err(fault) => {
            error!(fault = format!("{fault:#}"), "the log is not signed");
            let alarm = Alarm {
                since: clock::now().wall,
                zh: format!("记录的防篡改签名没有启动，请检查数据目录（{fault:#}）"),
                en: format!("The log is not signed; check the data folder: {fault:#}"),
            };
            board.update(|status| drop(status.alarms.insert("witness", alarm)));
            None
        }
    }
}

async fn open(config: &Config, store: &Store, board: &Board) -> anyhow::Result<Witness> {
    let data = &config.storage.data;
    let origin = store.origin().await.context("the log's name")?;
    let signer = Arc::new(Signer::new(data, origin, store.clone()));
    let own = witness::own_folder(data).context("heads")?;
    let folders = std::iter::once(own).chain(config.witness.folder.clone()).map(Folder::new);
    let folders = folders.collect::<Result<_, _>>().context("heads")?;
    Ok(Witness { store: store.clone(), signer, folders, hook: None, board: board.clone() })
}

/// Where heads are to go to a system of the site: into whose hands each is given.
fn hook(
    config: &Config,
    board: &Board,
    stopping: &CancellationToken,
) -> Option<mpsc::Sender<Sending>> {
    let (to, board) = (config.witness.webhook.clone()?, board.clone());
    let (sender, heads) = mpsc::channel(HEADS_WAITING);
    tokio::spawn(Heads { to, heads, board }.keep(stopping.clone()));
    Some(sender)
}
