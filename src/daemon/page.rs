//! The page's address: bound, or tried again while the telephone works.

use crate::config::Config;
use crate::config::channels::Alarms;
use crate::io::channels::{Post, Replies};
use crate::io::copies::place::Place;
use crate::io::policies::Policies;
use crate::io::status::{Alarm, Board};
use crate::io::tape::Recall;
use crate::io::{clock, logbook, web};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How often a page address that is taken is tried again.
const WEB_AGAIN: Duration = Duration::from_secs(5);

/// What the page is told by the configuration.
pub fn page(
    config: &Config,
    readers: &logbook::Readers,
    policies: &Policies,
    recall: Recall,
) -> web::Web {
    let logbook::Readers { store, board, orders, wake, .. } = readers.clone();
    let post = Post::new(readers.store.clone(), readers.board.clone(), readers.wake.clone());
    let replies = Replies::of(&config.channels, post.at(&config.line.number));
    let phones = config.phones.iter().map(|phone| phone.name.clone()).collect();
    let roll_call = config.roll_call.clone();
    let channels = config.channels.iter().filter(|channel| channel.alarms != Alarms::Only);
    let channels = channels.map(|channel| channel.plan.clone()).collect();
    let policy = web::InForce { policies: policies.clone(), channels };
    let dialler = web::Dialler { orders, phones, roster: config.roster.clone() };
    web::Web {
        dialler,
        roll_call,
        policy: Arc::new(policy),
        replies: Some(Arc::new(replies)),
        store,
        board,
        room: config.line.room.clone(),
        line: config.line.number.clone(),
        recordings: config.storage.recordings.clone(),
        recall,
        copies: config.storage.copies.as_ref().map(Place::of),
        low_space: config.storage.low_space,
        listen_reason: config.web.listen_reason,
        proxies: config.web.proxies.clone(),
        report: config.web.report,
        keeping: config.keeping,
        self_test: None,
        demo: None,
        signer: None,
        wake,
        alive: Arc::new(|| true),
    }
}

/// Binds the page's address; a taken one is tried again for ever, with an alarm, while the
/// telephone works.
pub async fn serve_page(
    listen: SocketAddr,
    page: web::Web,
    board: Board,
    stopping: CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    match tokio::net::TcpListener::bind(listen).await {
        Ok(listener) => {
            let address = listener.local_addr()?;
            Ok((address, tokio::spawn(serve(listener, page, stopping))))
        }
        Err(error) => {
            error!(%listen, %error, "no page: set web.listen to a free port of this host");
            board.update(|status| {
                status.alarms.insert(
                    "web",
                    Alarm {
                        since: clock::now().wall,
                        zh: format!("页面地址 {listen} 无法监听（{error}）"),
                        en: format!("the page cannot listen on {listen}: {error}"),
                    },
                );
            });
            let task = tokio::spawn(async move {
                loop {
                    tokio::time::sleep(WEB_AGAIN).await;
                    if let Ok(listener) = tokio::net::TcpListener::bind(listen).await {
                        info!(%listen, "the page is served");
                        board.update(|status| {
                            status.alarms.remove("web");
                        });
                        return serve(listener, page, stopping).await;
                    }
                }
            });
            Ok((listen, task))
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, page: web::Web, stopping: CancellationToken) {
    if let Err(error) = web::serve(listener, page, stopping).await {
        error!(%error, "the page is no longer served");
    }
}
