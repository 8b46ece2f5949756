//! Against a store that checks signatures, over loopback: what is a copy there, what is none, and what is said of it.

pub mod server;

use super::*;
use crate::config::Secret;
use crate::protocol::sip::phones::Network;
use axum::http::Method;
use server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, Trouble};
use std::fs;

pub fn plan(server: &Server) -> Plan {
    Plan {
        endpoint: format!("http://{}", server.address),
        name: BUCKET.to_owned(),
        prefix: "room-1".to_owned(),
        region: "us-east-1".to_owned(),
        path_style: true,
        access_key: Secret::new(ACCESS_KEY),
        secret_key: Secret::new(SECRET_KEY),
        ca: None,
        allow: vec![Network { ip: server.address.ip(), bits: 32 }],
    }
}

pub fn bucket(server: &Server, within: Duration) -> Bucket {
    Bucket { within, ..Bucket::new(plan(server)) }
}

struct Site {
    folder: tempfile::TempDir,
    server: Server,
    bucket: Bucket,
}

const WAV: &str = "2026/11/26/a.wav";

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("store"), 0);
        let bucket = Bucket::new(plan(&server));
        Self { folder, server, bucket }
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join("own")
    }

    /// Its SHA-256.
    fn record(&self, path: &str, bytes: &[u8]) -> String {
        let path = self.own().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        file::digest(&path).unwrap()
    }

    fn copy(&self, path: &str, sha256: &str) -> Result<(), Fault> {
        self.bucket.copy(&self.own(), Path::new(path), sha256)
    }

    fn there(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.server.file("room-1").join(path)).ok()
    }

    fn with(&self, change: impl FnOnce(&mut Plan)) -> Bucket {
        let mut plan = plan(&self.server);
        change(&mut plan);
        Bucket::new(plan)
    }
}

fn lost(done: Result<(), Fault>) -> String {
    match done {
        Err(Fault::Copy(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Longer than what is sent at once, and than the pieces it is read in.
fn long() -> Vec<u8> {
    (0..3_000_001_u32).map(|n| (n % 251) as u8).collect()
}

#[test]
fn rec_d15_what_is_put_is_read_back_is_put_once_and_is_what_it_was() {
    let site = Site::new();
    let (bytes, empty) = (long(), [].as_slice());
    for (path, bytes) in [(WAV, bytes.as_slice()), ("2026/11/26/empty.tape", empty)] {
        let sha256 = site.record(path, bytes);
        site.copy(path, &sha256).unwrap();
        assert_eq!(site.there(path).as_deref(), Some(bytes));
        assert_eq!(site.bucket.digest(Path::new(path)), Ok(sha256.clone()));
        let puts = site.server.seen(&Method::PUT);
        site.copy(path, &sha256).unwrap();
        assert_eq!(site.server.seen(&Method::PUT), puts, "it is there already");
    }
    assert_eq!(site.bucket.look(None), Ok(Sight::Whole));
    assert_eq!(site.bucket.look(Some(Path::new(WAV))), Ok(Sight::Whole));
    assert_eq!(site.bucket.look(Some(Path::new("2026/11/26/b.wav"))), Ok(Sight::Lacking));
    let mut listed = site.bucket.list(Path::new("2026/11/26")).unwrap();
    listed.sort();
    assert_eq!(listed, [WAV, "2026/11/26/empty.tape"].map(PathBuf::from));
}

#[test]
fn rec_d9_another_content_is_put_aside_and_a_spoiled_recording_is_not_put() {
    let site = Site::new();
    let sha256 = site.record(WAV, b"as it was said");
    site.copy(WAV, &sha256).unwrap();
    fs::write(site.server.file("room-1").join(WAV), "spoiled").unwrap();
    site.copy(WAV, &sha256).unwrap();
    assert_eq!(site.there(WAV).unwrap(), b"as it was said");
    assert_eq!(site.there(&format!("{WAV}.damaged-1")).unwrap(), b"spoiled", "for examination");
    let other = "2026/11/26/b.wav";
    let sha256 = site.record(other, b"as it was said");
    site.record(other, b"spoiled");
    assert!(matches!(site.copy(other, &sha256), Err(Fault::Own(why)) if why.contains("b.wav")));
    assert_eq!(site.there(other), None);
    assert!(matches!(site.copy("2026/11/26/c.wav", &sha256), Err(Fault::Own(_))));
    for path in ["../a.wav", "/a.wav"] {
        assert!(site.copy(path, &sha256).is_err() && site.bucket.remove(Path::new(path)).is_err());
    }
}

#[test]
fn rec_d9_what_is_read_back_otherwise_is_no_copy() {
    let site = Site::new();
    let sha256 = site.record(WAV, b"as it was said");
    site.server.has(Trouble::Spoils);
    let why = lost(site.copy(WAV, &sha256));
    assert!(why.contains("读回来与写入的不同"), "{why}");
    assert_eq!(site.there(WAV), None, "nothing that could be taken for one");
    site.server.has(None);
    site.copy(WAV, &sha256).unwrap();
    assert_eq!(fs::read(site.own().join(WAV)).unwrap(), b"as it was said");
}

/// Each with what its administrator has to do, and without what S3 calls secret.
#[test]
fn rec_d9_each_way_of_saying_no_is_told_with_its_remedy() {
    let mut site = Site::new();
    let sha256 = site.record(WAV, b"as it was said");
    for (status, code, remedy) in [
        (403, "RequestTimeTooSkewed", "校时"),
        (403, "InvalidAccessKeyId", "access_key_file"),
        (403, "AccessDenied", "权限"),
        (404, "NoSuchBucket", "先建好"),
        (503, "SlowDown", "会一直重试"),
        (500, "<script>", "会一直重试（http 500）"),
        (400, "AuthorizationHeaderMalformed", "region"),
        (507, "", "会一直重试"),
        (418, "Teapot", "不接受"),
    ] {
        for method in [Method::GET, Method::PUT] {
            site.server.has(Trouble::Says(method, status, code));
            let why = lost(site.copy(WAV, &sha256));
            assert!(why.contains(remedy) && why.contains(" · "), "{status} {code}: {why}");
            assert!(!why.contains(SECRET_KEY) && !why.contains('<'), "{why}");
        }
    }
    site.server.has(None);
    site.server.allows_skew(0);
    let skewed = lost(site.copy(WAV, &sha256));
    assert!(skewed.contains("校时"), "by the store itself: {skewed}");
    let looked = site.bucket.look(Some(Path::new(WAV))).unwrap_err();
    assert!(looked.contains("校时"), "{looked}");
    site.server.allows_skew(900);
    let copy = |bucket: Bucket| lost(bucket.copy(&site.own(), Path::new(WAV), &sha256));
    let wrong = copy(site.with(|plan| plan.secret_key = Secret::new("another")));
    assert!(wrong.contains("access_key_file"), "{wrong}");
    let unknown = copy(site.with(|plan| plan.access_key = Secret::new("nobody")));
    assert!(unknown.contains("密钥"), "{unknown}");
    let look = site.with(|plan| plan.name = "another-bucket".to_owned()).look(Some(Path::new(WAV)));
    assert!(look.unwrap_err().contains("没有这个桶"));
    let guarded = copy(site.with(|plan| plan.allow.clear()));
    assert!(guarded.contains("allow"), "{guarded}");
    let name = copy(site.with(|plan| plan.endpoint = "https://nowhere.invalid".to_owned()));
    assert!(name.contains("DNS"), "{name}");
    site.server.stop();
    let away = lost(site.copy(WAV, &sha256));
    assert!(away.contains("连不上"), "{away}");
    site.server.again();
    site.copy(WAV, &sha256).unwrap();
}

#[test]
fn rec_d9_a_store_that_does_not_move_is_given_up() {
    let mut site = Site::new();
    site.bucket.within = Duration::from_millis(300);
    let sha256 = site.record(WAV, &long());
    for method in [Method::GET, Method::PUT] {
        site.server.has(Trouble::Hangs(method));
        let why = lost(site.copy(WAV, &sha256));
        assert!(why.contains("无应答"), "{why}");
    }
    site.server.has(Trouble::Stalls(Method::GET));
    let listed = site.bucket.list(Path::new("")).unwrap_err();
    assert!(listed.contains("无应答"), "{listed}");
    site.server.has(None);
    fs::create_dir_all(site.server.file("room-1/2026/11/26")).unwrap();
    fs::write(site.server.file("room-1").join(WAV), "spoiled").unwrap();
    site.server.has(Trouble::Stalls(Method::PUT));
    let aside = lost(site.copy(WAV, &sha256));
    assert!(aside.contains("无应答"), "what is copied by the store itself: {aside}");
    site.server.has(Trouble::Hangs(Method::HEAD));
    assert!(site.bucket.is_there(Path::new(WAV)).unwrap_err().contains("无应答"));
    site.server.has(None);
    site.bucket.within = WITHIN;
    site.copy(WAV, &sha256).unwrap();
}

/// Where clouds want the bucket in the host's name, and where it is part of the path.
#[test]
fn rec_d15_the_bucket_is_named_in_the_path_or_in_the_host() {
    use object_store::signer::Signer;
    let site = Site::new();
    let asked = |path_style| {
        let bucket = site.with(|plan| {
            plan.endpoint = "https://s3.example.cn:9000".to_owned();
            plan.path_style = path_style;
        });
        run(async {
            let open = bucket.open()?;
            let key = open.key(Path::new(WAV))?;
            let url = open.store.signed_url(http::Method::GET, &key, WITHIN).await;
            Ok(url.unwrap().as_str().split('?').next().unwrap().to_owned())
        })
    };
    let (beside, within) = (asked(true).unwrap(), asked(false).unwrap());
    assert_eq!(beside, format!("https://s3.example.cn:9000/duty-room/room-1/{WAV}"));
    assert_eq!(within, format!("https://duty-room.s3.example.cn:9000/room-1/{WAV}"));
}

#[test]
fn rec_d14_what_is_removed_is_proved_to_be_gone_and_what_is_only_hidden_is_said_to_be() {
    let site = Site::new();
    let sha256 = site.record(WAV, b"as it was said");
    let path = Path::new(WAV);
    site.copy(WAV, &sha256).unwrap();
    for status in [403, 405, 409] {
        site.server.has(Trouble::Says(Method::DELETE, status, "AccessDenied"));
        let why = site.bucket.remove(path).unwrap_err();
        assert!(why.contains("对象锁定"), "{why}");
        assert!(site.there(WAV).is_some());
    }
    site.server.has(Trouble::Says(Method::DELETE, 204, ""));
    let why = site.bucket.remove(path).unwrap_err();
    assert!(why.contains("删除后仍在"), "a store that says so and does not: {why}");
    for hides in [Trouble::Hides(false), Trouble::HidesSilently] {
        site.server.has(None);
        site.copy(WAV, &sha256).unwrap();
        site.server.has(hides.clone());
        for _ in 0..2 {
            let why = site.bucket.remove(path).unwrap_err();
            assert!(why.contains("旧版本仍在"), "it stays so: {hides:?}: {why}");
        }
    }
    site.server.has(Trouble::Hides(false));
    assert_eq!(site.bucket.remove(path), Ok(()), "every version was deleted for good");
    site.server.has(None);
    site.bucket.remove(path).unwrap();
    assert_eq!(site.bucket.is_there(path), Ok(false));
    site.bucket.remove(path).unwrap();
    let other = site.with(|plan| plan.name = "another-bucket".to_owned());
    assert!(
        other.remove(path).unwrap_err().contains("没有这个桶"),
        "nobody knows whether it is gone"
    );
}
