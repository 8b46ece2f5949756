//! What a store's refusal means to whoever can mend it, in both languages.

use super::wire::{Refusal, refusal};
use crate::io::channels::http::Fault;
use object_store::Error;

pub const OTHERWISE: (&str, &str) =
    ("读回来与写入的不同，不算第二份", "what was written is read back otherwise");
const HUNG: (&str, &str) = ("无应答", "no answer");
pub const STILL_THERE: (&str, &str) = (
    "删除后仍在，请检查桶的对象锁定",
    "it is still there after its deletion: look for an object lock",
);
pub const HIDDEN: (&str, &str) = (
    "桶开了版本控制，删除只是藏起，旧版本仍在：请管理员永久删除各版本",
    "the bucket keeps versions, a deletion only hides them: have its administrator delete every version for good",
);

/// Why something could not be read, written or seen.
pub fn told(error: &Error) -> (String, String) {
    let Some(refusal) = refusal(error) else {
        // The library's own, such as an answer that is none of S3.
        return (
            format!("不像 S3 的应答，请核对 endpoint（{}）", kind(error)),
            format!("no answer of S3: check endpoint ({})", kind(error)),
        );
    };
    let (zh, en) = match refusal {
        Refusal::Lost(fault) => lost(*fault),
        Refusal::Cut => ("连接中断", "the connection was lost"),
        Refusal::Source(_) => ("本机文件读不了", "the file to be sent cannot be read"),
        Refusal::Answer { status, code, .. } => answer(*status, code),
    };
    let with = |text: &str| match refusal {
        Refusal::Answer { .. } => format!("{text}（{refusal}）"),
        Refusal::Source(fault) => format!("{text}（{fault}）"),
        Refusal::Lost(_) | Refusal::Cut => text.to_owned(),
    };
    (with(zh), with(en).replace('（', " (").replace('）', ")"))
}

/// Why something could not be deleted.
pub fn not_deleted(error: &Error) -> (String, String) {
    match refusal(error) {
        Some(refusal @ Refusal::Answer { status: 403 | 405 | 409, code, .. }) if !is_key(code) => (
            format!("不准删除，请检查删除权限和桶的对象锁定（{refusal}）"),
            format!(
                "it must not be deleted: look at the key's rights and for an object lock ({refusal})"
            ),
        ),
        _ => told(error),
    }
}

/// The key or the clock is refused, whatever was asked for.
fn is_key(code: &str) -> bool {
    matches!(code, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed")
}

fn lost(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::Refused("address not allowed") => (
            "这是本机或链路地址，要列进 allow 才能用",
            "this host's or its link's address: list it in allow",
        ),
        Fault::NotSent("certificate refused") => (
            "证书不被认可，请核对 tls_ca 和 endpoint 的域名，改后重启",
            "its certificate is refused: check tls_ca and the name in endpoint, then restart",
        ),
        Fault::NotSent("name unknown") => {
            ("查不到域名，请核对 endpoint 和 DNS", "its name is unknown: check endpoint and DNS")
        }
        Fault::Refused(_) | Fault::NotSent(_) => (
            "连不上，请检查对象存储是否在运行、网络是否通",
            "no connection: look whether it runs and is reached",
        ),
        Fault::NoAnswer("timeout") => HUNG,
        Fault::NoAnswer(_) => ("连接中断", "the connection was lost"),
    }
}

fn answer(status: u16, code: &str) -> (&'static str, &'static str) {
    match (status, code) {
        (_, "RequestTimeTooSkewed") => (
            "本机与对象存储的时钟相差太大，请给两边校时",
            "our clock and the store's are too far apart: set both",
        ),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => (
            "密钥被拒，请核对 access_key_file 和 secret_key_file，改后重启",
            "the key is refused: check access_key_file and secret_key_file, then restart",
        ),
        (301 | 307, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => (
            "区域或地址不对，请核对 region 和 endpoint",
            "another region: check region and endpoint",
        ),
        (_, "NoSuchBucket") => (
            "没有这个桶，请先建好，或核对 bucket",
            "there is no such bucket: make it, or check bucket",
        ),
        (401 | 403, _) => (
            "被拒，请核对密钥、时钟，以及密钥对这个桶的读、写、列出、删除权限",
            "refused: check the key, the clock and the key's rights to read, write, list and delete there",
        ),
        (429 | 500..=599, _) => {
            ("对象存储暂时不能用，会一直重试", "the store cannot serve now, and is asked again")
        }
        _ => ("对象存储不接受", "the store does not take it"),
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Generic { .. } => "generic",
        Error::InvalidPath { .. } => "path",
        _ => "other",
    }
}
