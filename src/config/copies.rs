//! Where the second copies of recordings are: `storage.copies`, another folder, or `[storage.s3]`, a bucket of an
//! S3-compatible store.

use super::authority::authority;
use super::channels::{base_url, secret};
use super::faults::{Say, say};
use super::reader::{Reader, Section, any_text, boolean, list, text};
use super::registrar::network;
use super::secret::Secret;
use crate::protocol::sip::phones::Network;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copies {
    /// On another disk or host; not made where it is missing.
    Folder(PathBuf),
    Bucket(Bucket),
}

/// A bucket, and with which key it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// `https://host:port`, or `http://` to an address in `allow`.
    pub endpoint: String,
    pub name: String,
    /// Before the name of each object, without slashes at its ends; may be empty.
    pub prefix: String,
    pub region: String,
    /// The bucket's name is the first part of the path, not of the host's name.
    pub path_style: bool,
    pub access_key: Secret,
    pub secret_key: Secret,
    /// PEM of the authority of the site; the host's own list unless given.
    pub ca: Option<PathBuf>,
    /// Where it may be although it is this host or its link, and where it may be spoken to in the clear.
    pub allow: Vec<Network>,
}

impl fmt::Display for Copies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(out),
            Self::Bucket(bucket) => bucket.fmt(out),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(out, "{}/{}{slash}{}", self.endpoint, self.name, self.prefix)
    }
}

/// The second place of recordings in `recordings`; none unless given.
pub fn place(reader: &Reader, storage: &mut Section<'_>, recordings: &str) -> Option<Copies> {
    let folder = storage.optional("copies", text).map(PathBuf::from);
    let given = storage.get("copies");
    let bucket = storage.get("s3").and_then(|_| bucket(reader, storage.section("s3")));
    let Some(given) = given else { return bucket.map(Copies::Bucket) };
    if storage.get("s3").is_some() {
        let fault = say(
            "第二份录音只有一处：copies（文件夹）和 [storage.s3]（对象存储）留一个",
            "there is one second copy: keep either copies (a folder) or [storage.s3] (an object store)",
        );
        reader.fault(Some(given.place), given.field, fault);
        return None;
    }
    let folder = folder?;
    if folder.starts_with(Path::new(recordings)) {
        let fault = say(
            "第二份录音不能放在 recordings 里；请放到另一块磁盘",
            "the second copy cannot be inside recordings: give it another disk",
        );
        reader.fault(Some(given.place), given.field, fault);
    }
    Some(Copies::Folder(folder))
}

fn bucket(reader: &Reader, mut s: Section<'_>) -> Option<Bucket> {
    let endpoint = s.required("endpoint", "\"https://minio.example.cn:9000\"", endpoint);
    let name = s.required("bucket", "\"dutyline\"", bucket_name);
    let prefix = s.or("prefix", String::new(), prefix);
    let region = s.or("region", "us-east-1".to_owned(), region);
    let path_style = s.or("path_style", true, boolean);
    let ca = authority(reader, &mut s);
    let allow = s.or("allow", vec![], list(network));
    let mut key = |name, example| {
        let file = s.required(name, example, text)?;
        let key = secret(reader, &mut s, name)?;
        if key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(key);
        }
        let fault = say(
            format!(
                "{file}：密钥里有空格、BOM 或别的非 ASCII 字符；请另存为不带 BOM 的文本，首行只写密钥，行尾不留空格"
            ),
            format!(
                "{file}: a space, a BOM or something else that is not ASCII is in the key: save it as text without BOM, the key alone on the first line, no space after it"
            ),
        );
        let given = s.get(name)?;
        reader.fault(Some(given.place), given.field, fault);
        None
    };
    let access_key = key("access_key_file", "\"/etc/dutyline/s3-access-key\"");
    let secret_key = key("secret_key_file", "\"/etc/dutyline/s3-secret-key\"");
    if let Some(endpoint) = &endpoint
        && let Some(given) = s.get("endpoint")
    {
        let host = host(endpoint);
        let ip = host.parse::<IpAddr>().ok();
        if endpoint.starts_with("http://")
            && !ip.is_some_and(|ip| is_own(ip) && allow.iter().any(|network| network.has(ip)))
        {
            let fault = say(
                "明文 http 会泄露录音；请用 https。确实只走本机或内网时，写内网 IP 地址，并把它列进 allow",
                "recordings would travel in the clear: use https; where it is this host or a network of its own, write its private IP address and list that in allow",
            );
            reader.fault(Some(given.place.clone()), given.field.clone(), fault);
        }
        if !path_style && ip.is_some() {
            let fault = say(
                "path_style = false 时桶名是域名的一部分，endpoint 要写域名；用 IP 地址时请删去 path_style",
                "with path_style = false the bucket is part of the host's name: give endpoint a name, or remove path_style",
            );
            reader.fault(Some(given.place), given.field, fault);
        }
    }
    s.close();
    Some(Bucket {
        endpoint: endpoint?,
        name: name?,
        prefix,
        region,
        path_style,
        access_key: access_key?,
        secret_key: secret_key?,
        ca,
        allow,
    })
}

/// Scheme, host and port: the bucket is named beside it.
fn endpoint(value: &DeValue<'_>) -> Result<String, Say> {
    let url = base_url(value)?;
    let host = url.split_once("://").map_or("", |(_, host)| host);
    match host.contains('/') {
        true => Err(say(
            "只写到主机和端口（如 \"https://minio.example.cn:9000\"），桶和目录写进 bucket、prefix",
            "scheme, host and port alone (\"https://minio.example.cn:9000\"): the rest goes into bucket and prefix",
        )),
        false => Ok(url),
    }
}

fn host(endpoint: &str) -> &str {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Of this host or of a network of its own (RFC 1918, RFC 4193).
fn is_own(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

/// As S3 has them: 3 to 63 of lower-case letters, digits, `-` and `.`.
fn bucket_name(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inside = |c: char| edge(c) || c == '-' || c == '.';
    let fits = (3..=63).contains(&text.len())
        && text.chars().all(inside)
        && text.starts_with(edge)
        && text.ends_with(edge);
    if fits {
        return Ok(text);
    }
    Err(say(
        "不是桶名：3 到 63 个小写字母、数字、- 和 .，首尾是字母或数字",
        "no bucket's name: 3 to 63 of a-z, 0-9, - and ., a letter or digit at both ends",
    ))
}

fn prefix(value: &DeValue<'_>) -> Result<String, Say> {
    let text = any_text(value)?;
    let part = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(fits)
    };
    let inside = text.trim_matches('/');
    if text.is_empty() || text.len() <= 200 && inside.split('/').all(part) {
        return Ok(inside.to_owned());
    }
    Err(say(
        "只用字母、数字和 - _ .，分级用 /，如 \"room-1\"",
        "letters, digits, - _ . and / between them, such as \"room-1\"",
    ))
}

fn region(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.len() <= 64 && text.chars().all(fits) {
        return Ok(text);
    }
    Err(say("只用字母、数字和 -，如 \"us-east-1\"", "letters, digits and -, such as \"us-east-1\""))
}
