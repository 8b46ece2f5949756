//! A mail server of a page, and a server with a certificate of its own.

use super::*;
use crate::config::channels::{Mail, MailSecurity};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What this server does that others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whim {
    None,
    /// Its answer to DATA's end.
    AfterData(&'static str),
    /// Its answer to RCPT.
    AtRecipient(&'static str),
    /// Somebody in between has taken the offer away.
    NoStartTls,
    /// Nothing after DATA's end.
    Silent,
    /// An answer to EHLO that never ends.
    Floods,
}

fn certified(expired: bool) -> (Arc<ServerConfig>, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(if expired { 2021 } else { 2099 }, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (Arc::new(config), certificate.pem())
}

/// A server that says this to everybody who gets through the handshake; its certificate.
pub async fn tls_answering(expired: bool, answer: &'static str) -> (SocketAddr, String) {
    let (config, pem) = certified(expired);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, pem)
}

struct Server {
    address: SocketAddr,
    pem: String,
    /// What was said to it, a line at a time.
    said: Receiver<String>,
}

impl Server {
    async fn start(whim: Whim) -> Self {
        let (config, pem) = certified(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, said) = channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, tell) = (TlsAcceptor::from(Arc::clone(&config)), tell.clone());
                tokio::spawn(async move {
                    let note = |line: &str| drop(tell.send(line.to_owned()));
                    let mut stream = stream;
                    stream.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
                    if !talk(&mut stream, whim, false, note).await? {
                        return Some(());
                    }
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    talk(&mut stream, whim, true, note).await.map(drop)
                });
            }
        });
        Self { address, pem, said }
    }

    fn all(&self) -> Vec<String> {
        self.said.try_iter().collect()
    }
}

/// Goes on until QUIT; `true` when TLS is to begin.
async fn talk<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    whim: Whim,
    secret: bool,
    note: impl Fn(&str),
) -> Option<bool> {
    let mut stream = BufReader::new(stream);
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        note(&line);
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." if in_data => {
                in_data = false;
                match whim {
                    Whim::AfterData(answer) => answer,
                    Whim::Silent => return std::future::pending().await,
                    _ => "250 2.0.0 queued",
                }
            }
            _ if in_data => continue,
            "EHLO" if whim == Whim::Floods => loop {
                stream.write_all(b"250-mail.test is glad to see you\r\n").await.ok()?;
            },
            "EHLO" if secret || whim == Whim::NoStartTls => "250-mail.test\r\n250 AUTH PLAIN",
            "EHLO" => "250-mail.test\r\n250 STARTTLS",
            "STARTTLS" => {
                stream.write_all(b"220 go ahead\r\n").await.ok()?;
                return Some(true);
            }
            "AUTH" => "235 2.7.0 welcome",
            "RCPT" => match whim {
                Whim::AtRecipient(answer) => answer,
                _ => "250 ok",
            },
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await.ok()?;
                return Some(false);
            }
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

async fn mailed(server: &Server, security: MailSecurity, seconds: u64) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &server.pem).unwrap();
    let login = Some(("zhiban".to_owned(), Secret::new("mail-secret")));
    let way = Mail {
        server: "localhost".to_owned(),
        port: server.address.port(),
        security,
        login: login.filter(|_| security != MailSecurity::None),
        from: "zhiban@example.cn".to_owned(),
        to: vec!["leader@example.cn".to_owned(), "head@example.cn".to_owned()],
    };
    let v6 = Network { ip: "::1".parse().unwrap(), bits: 128 };
    let guard = Guard { allow: [loopback(), vec![v6]].concat() };
    let limit = Duration::from_secs(seconds);
    with_letter(async |letter| mail::send(&way, letter, &guard, Some(&ca), limit).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_63_a_mail_goes_out_under_starttls_with_its_marks_and_nothing_in_the_clear() {
    let server = Server::start(Whim::None).await;
    let sent = mailed(&server, MailSecurity::StartTls, 20).await;
    assert_eq!(sent, Verdict::Accepted { id: None });
    let said = server.all();
    let at = |line: &str| said.iter().position(|said| said == line).unwrap_or(usize::MAX);
    assert!(at("STARTTLS") < said.iter().position(|said| said.starts_with("AUTH")).unwrap());
    assert!(said.contains(&"RCPT TO:<head@example.cn>".to_owned()), "{said:?}");
    for header in [
        "Auto-Submitted: auto-generated",
        "Importance: high",
        "X-Priority: 1",
        "From: <zhiban@example.cn>",
    ] {
        assert!(at(header) < usize::MAX, "{header} in {said:?}");
    }
    assert!(
        said.iter().any(|line| line.starts_with("Message-ID: <") && line.ends_with("@example.cn>"))
    );
    let empty = said.iter().position(String::is_empty).unwrap();
    let body: String = said[empty + 1..at(".")].concat();
    let body = String::from_utf8(signing::from_base64(&body).unwrap()).unwrap();
    assert!(body.contains("记-20261003-0007"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_63_451_is_tried_again_550_is_not_and_silence_after_the_message_is_not_known() {
    let verdict = async |whim, security, seconds| {
        let server = Server::start(whim).await;
        (mailed(&server, security, seconds).await, server.all())
    };
    let (later, _) = verdict(Whim::AfterData("451 4.3.0 later"), MailSecurity::StartTls, 20).await;
    assert_eq!(later, Verdict::Retry { after: None, why: "smtp 451".to_owned() });
    let (never, _) =
        verdict(Whim::AtRecipient("550 5.1.1 no such user"), MailSecurity::None, 20).await;
    assert_eq!(never, Verdict::Permanent { why: "smtp 550".to_owned() });
    let (unknown, _) = verdict(Whim::Silent, MailSecurity::None, 2).await;
    assert_eq!(unknown, Verdict::Unknown { why: "timeout".to_owned() });
    for security in [MailSecurity::None, MailSecurity::StartTls] {
        let (flooded, _) = verdict(Whim::Floods, security, 30).await;
        assert_eq!(flooded, Verdict::Retry { after: None, why: "connection lost".to_owned() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_63_a_server_whose_starttls_was_taken_away_is_told_nothing() {
    let server = Server::start(Whim::NoStartTls).await;
    let refused = mailed(&server, MailSecurity::StartTls, 20).await;
    assert_eq!(refused, Verdict::Permanent { why: "no STARTTLS".to_owned() });
    let said = server.all();
    assert!(said.iter().all(|line| line.starts_with("EHLO")), "{said:?}");
    // A certificate that is not the site's.
    let other = Server { pem: certified(false).1, ..Server::start(Whim::None).await };
    let refused = mailed(&other, MailSecurity::StartTls, 20).await;
    assert_eq!(refused, Verdict::Retry { after: None, why: "TLS refused".to_owned() });
    assert!(other.all().iter().all(|line| !line.starts_with("AUTH")), "no password");
    // And where it may not be at all.
    let server = Server::start(Whim::None).await;
    let way = Mail {
        server: "127.0.0.1".to_owned(),
        port: server.address.port(),
        security: MailSecurity::None,
        login: None,
        from: "a@example.cn".to_owned(),
        to: vec!["b@example.cn".to_owned()],
    };
    let limit = Duration::from_secs(5);
    let refused =
        with_letter(async |letter| mail::send(&way, letter, &Guard::default(), None, limit).await);
    assert_eq!(refused.await, Verdict::Permanent { why: "address not allowed".to_owned() });
    assert!(server.all().is_empty());
}
