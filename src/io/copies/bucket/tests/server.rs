//! A store of objects on loopback: s3s over a folder, with keys and signatures that it checks, which is told to be away,
//! refuse, hang or spoil.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use s3s::auth::SimpleAuth;
use s3s::config::{HotReloadConfigProvider, S3Config};
use s3s::service::{S3Service, S3ServiceBuilder};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::Service;

pub const BUCKET: &str = "duty-room";
pub const ACCESS_KEY: &str = "dutyline";
pub const SECRET_KEY: &str = "a-secret-of-the-store";

/// What it does with requests of this method instead of serving them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Status, S3's code.
    Says(Method, u16, &'static str),
    /// Never an answer.
    Hangs(Method),
    /// Never an answer to who reads keys with this in them; what is listed is.
    HangsAt(String),
    /// The head of an answer, and never its body.
    Stalls(Method),
    /// To read keys with this in them, so many times; what is listed is.
    Refuses(String, u32),
    /// Each object is another one by a bit.
    Spoils,
    /// What is deleted is marked, and kept as a version; whether anything was marked already.
    Hides(bool),
    /// The same, which is only said where it is deleted.
    HidesSilently,
}

pub struct Server {
    pub address: SocketAddr,
    folder: PathBuf,
    trouble: Arc<Mutex<Option<Trouble>>>,
    /// Methods of what came, in their order.
    seen: Arc<Mutex<Vec<Method>>>,
    config: Arc<HotReloadConfigProvider>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Server {
    /// Its bucket is below `folder`, and there. Port 0 for any.
    pub fn start(folder: &Path, port: u16) -> Self {
        std::fs::create_dir_all(folder.join(BUCKET)).expect("a folder");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
        let mut server = Self {
            address: listener.local_addr().expect("an address"),
            folder: folder.to_owned(),
            trouble: Arc::default(),
            seen: Arc::default(),
            config: Arc::default(),
            running: None,
        };
        server.serve(listener);
        server
    }

    /// At the same address as before.
    pub fn again(&mut self) {
        self.serve(TcpListener::bind(self.address).expect("the port"));
    }

    /// With all its connections.
    pub fn stop(&mut self) {
        if let Some((stopping, thread)) = self.running.take() {
            stopping.cancel();
            thread.join().expect("stopped");
        }
    }

    pub fn has(&self, trouble: impl Into<Option<Trouble>>) {
        *self.trouble.lock().expect("a lock") = trouble.into();
    }

    /// How many requests of this method have come.
    pub fn seen(&self, method: &Method) -> usize {
        self.seen.lock().expect("a lock").iter().filter(|seen| *seen == method).count()
    }

    /// How far apart its clock and a client's may be.
    pub fn allows_skew(&self, seconds: u32) {
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = seconds;
        self.config.update(Arc::new(config));
    }

    pub fn file(&self, key: impl AsRef<Path>) -> PathBuf {
        self.folder.join(BUCKET).join(key)
    }

    fn serve(&mut self, listener: TcpListener) {
        let files = s3s_fs::FileSystem::new(&self.folder).expect("a folder");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.set_config(self.config.clone());
        let (store, trouble, seen) = (builder.build(), self.trouble.clone(), self.seen.clone());
        let router = Router::new().fallback(move |request: Request| {
            seen.lock().expect("a lock").push(request.method().clone());
            let mut trouble = trouble.lock().expect("a lock");
            let now = trouble.clone().filter(|trouble| match trouble {
                Trouble::Refuses(key, _) | Trouble::HangsAt(key) => is_read(&request, key),
                _ => true,
            });
            match &mut *trouble {
                Some(Trouble::Hides(marked)) => *marked |= request.method() == Method::DELETE,
                Some(Trouble::Refuses(_, 1)) if now.is_some() => *trouble = None,
                Some(Trouble::Refuses(_, left)) if now.is_some() => *left -= 1,
                _ => {}
            }
            answer(store.clone(), now, request)
        });
        let stopping = CancellationToken::new();
        let stopped = stopping.clone();
        let thread = std::thread::spawn(move || {
            listener.set_nonblocking(true).expect("set");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("served"),
                    () = stopped.cancelled() => {}
                }
            });
        });
        self.running = Some((stopping, thread));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_read(request: &Request, key: &str) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    reads && request.uri().path().contains(key)
}

async fn answer(mut store: S3Service, trouble: Option<Trouble>, request: Request) -> Response {
    let method = request.method().clone();
    match &trouble {
        Some(Trouble::Says(of, status, code)) if *of == method => {
            let body = format!("<Error><Code>{code}</Code><Message>told to</Message></Error>");
            let mut answer = Response::new(Body::from(body));
            *answer.status_mut() = StatusCode::from_u16(*status).expect("a status");
            return answer;
        }
        Some(Trouble::Hangs(of)) if *of == method => return std::future::pending().await,
        Some(Trouble::HangsAt(_)) => return std::future::pending().await,
        Some(Trouble::Stalls(of)) if *of == method => {
            let never = tokio_stream::pending::<Result<Bytes, std::io::Error>>();
            return Response::new(Body::from_stream(never));
        }
        Some(Trouble::Refuses(..)) => {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return answer;
        }
        _ => {}
    }
    let answered = Service::call(&mut store, request).await.expect("an answer");
    let answer = answered.map(Body::new);
    let deletes = method == Method::DELETE;
    match trouble {
        Some(Trouble::Spoils) if method == Method::GET => spoiled(answer).await,
        Some(Trouble::Hides(marked))
            if deletes || marked && answer.status() == StatusCode::NOT_FOUND =>
        {
            with_mark(answer)
        }
        Some(Trouble::HidesSilently) if deletes => with_mark(answer),
        _ => answer,
    }
}

fn with_mark(mut answer: Response) -> Response {
    let marker = HeaderValue::from_static("true");
    HeaderMap::insert(answer.headers_mut(), "x-amz-delete-marker", marker);
    answer
}

async fn spoiled(answer: Response) -> Response {
    let (head, body) = answer.into_parts();
    let mut bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    Response::from_parts(head, Body::from(Bytes::from(bytes)))
}
