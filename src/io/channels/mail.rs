//! Mail: the only door to lettre. TLS where the site says so, or nothing is sent. Mail is evidence, and
//! no way to reach anybody in time.

use super::Letter;
use super::guard::{Guard, Stopped};
use super::http::READ_AT_MOST;
use super::signing::to_base64;
use crate::config::channels::{Mail, MailSecurity};
use crate::duty::notices::Verdict;
use crate::io::tls;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Of an encoded line (RFC 2045 §6.8).
const LINE: usize = 76;
/// Of the text within one encoded word, so that the word has 75 characters at most (RFC 2047 §2).
const WORD: usize = 45;

/// A server that has not shown its certificate may say so much, and no more: a reply without an end
/// would be kept whole.
#[derive(Debug)]
struct Bounded {
    stream: TcpStream,
    left: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

/// Why there was no message.
enum Fault {
    Smtp(Error),
    Other(Verdict),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

pub async fn send(
    way: &Mail,
    letter: &Letter<'_>,
    guard: &Guard,
    ca: Option<&Path>,
    limit: Duration,
) -> Verdict {
    let mut began = false;
    match tokio::time::timeout(limit, talk(way, letter, guard, ca, &mut began)).await {
        Ok(Ok(())) => Verdict::Accepted { id: None },
        Ok(Err(Fault::Other(verdict))) => verdict,
        Ok(Err(Fault::Smtp(error))) => verdict(&error, began),
        Err(_) if began => Verdict::Unknown { why: "timeout".to_owned() },
        Err(_) => Verdict::Retry { after: None, why: "timeout".to_owned() },
    }
}

async fn talk(
    way: &Mail,
    letter: &Letter<'_>,
    guard: &Guard,
    ca: Option<&Path>,
    began: &mut bool,
) -> Result<(), Fault> {
    let permanent = |why: &str| Fault::Other(Verdict::Permanent { why: why.to_owned() });
    let addresses =
        guard.look_up(&way.server, way.port).await.map_err(|stopped| match stopped {
            Stopped::Forbidden => permanent("address not allowed"),
            Stopped::Unknown => {
                Fault::Other(Verdict::Retry { after: None, why: "name unknown".to_owned() })
            }
        })?;
    let address = |text: &str| text.parse::<Address>().map_err(|_| permanent("no mail address"));
    let to = way.to.iter().map(|to| address(to)).collect::<Result<Vec<_>, _>>()?;
    let envelope = Envelope::new(Some(address(&way.from)?), to);
    let envelope = envelope.map_err(|_| permanent("no recipient"))?;
    let hello = ClientId::Domain(domain(&way.from).to_owned());
    let tls = match way.security {
        MailSecurity::None => None,
        MailSecurity::Tls | MailSecurity::StartTls => Some(parameters(&way.server, ca)?),
    };
    let mut line = match &tls {
        Some(tls) if way.security == MailSecurity::Tls => {
            let tls = Some(tls.clone());
            AsyncSmtpConnection::connect_tokio1(&addresses[..], None, &hello, tls, None).await?
        }
        _ => {
            let stream = TcpStream::connect(&addresses[..]).await.map_err(|_| {
                Fault::Other(Verdict::Retry { after: None, why: "no connection".to_owned() })
            })?;
            let stream = Box::new(Bounded { stream, left: READ_AT_MOST });
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await?
        }
    };
    if let Some(tls) = tls.filter(|_| way.security == MailSecurity::StartTls) {
        // Whoever stands in between may have taken the offer away (RFC 3207 §6).
        if !line.can_starttls() {
            return Err(permanent("no STARTTLS"));
        }
        line.starttls(tls, &hello).await?;
    }
    if let Some((user, password)) = &way.login {
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        line.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
    }
    *began = true;
    line.send(&envelope, message(way, letter).as_bytes()).await?;
    // It is taken, however the two part.
    let _ = line.quit().await;
    Ok(())
}

fn parameters(server: &str, ca: Option<&Path>) -> Result<TlsParameters, Fault> {
    let mut builder = TlsParameters::builder(server.to_owned());
    if let Some(path) = ca {
        let unreadable =
            |_| Fault::Other(Verdict::Permanent { why: "tls_ca cannot be read".to_owned() });
        let pem = std::fs::read(path).map_err(unreadable)?;
        let ours = Certificate::from_pem(&pem)?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(ours);
    }
    Ok(builder.build()?)
}

/// 4xx is tried again, 5xx is not; after the message began, silence says nothing.
fn verdict(error: &Error, began: bool) -> Verdict {
    let why = match error.status() {
        Some(status) => format!("smtp {status}"),
        None if error.is_tls() || tls::is_certificate_fault(error) => "TLS refused".to_owned(),
        None if error.is_timeout() => "timeout".to_owned(),
        None => "connection lost".to_owned(),
    };
    if error.is_permanent() {
        Verdict::Permanent { why }
    } else if error.is_transient() || !began {
        Verdict::Retry { after: None, why }
    } else {
        Verdict::Unknown { why }
    }
}

/// The message (RFC 5322); its Message-ID is the same at each try.
fn message(way: &Mail, letter: &Letter<'_>) -> String {
    let headers = [
        ("From", format!("<{}>", way.from)),
        ("To", way.to.iter().map(|to| format!("<{to}>")).collect::<Vec<_>>().join(",\r\n ")),
        ("Subject", encoded_words(&letter.text.title)),
        ("Date", letter.now.to_rfc2822()),
        ("Message-ID", format!("<{}@{}>", letter.name, domain(&way.from))),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("Importance", "high".to_owned()),
        ("X-Priority", "1".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("Content-Transfer-Encoding", "base64".to_owned()),
    ];
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = to_base64(format!("{}\r\n", letter.text.body).as_bytes());
    let lines: Vec<&str> =
        (0..body.len()).step_by(LINE).map(|at| &body[at..body.len().min(at + LINE)]).collect();
    format!("{headers}\r\n{}\r\n", lines.join("\r\n"))
}

fn encoded_words(text: &str) -> String {
    let (mut words, mut rest) = (vec![], text);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        words.push(format!("=?utf-8?B?{}?=", to_base64(word.as_bytes())));
        rest = after;
    }
    words.join("\r\n ")
}

fn domain(address: &str) -> &str {
    address.split_once('@').map_or("localhost", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_words_of_75_characters_at_most() {
        assert_eq!(encoded_words("急"), "=?utf-8?B?5oCl?=");
        let long = encoded_words(&"值班室紧急事项".repeat(9));
        let words: Vec<&str> = long.split("\r\n ").collect();
        assert!(words.len() > 3 && words.iter().all(|word| word.len() <= 75), "{words:?}");
    }
}
