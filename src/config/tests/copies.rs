//! The second place of recordings: a folder or a bucket, and what is refused.

use super::*;
use crate::config::copies::Copies;
use std::fs;

/// The keys below `[storage.s3]`, with two files of keys.
fn keys(folder: &Path, more: &str) -> String {
    for (name, text) in [("access", "AKID\n"), ("secret", "very-secret\n")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let folder = folder.display();
    format!(
        "[storage.s3]\naccess_key_file = \"{folder}/access\"\nsecret_key_file = \"{folder}/secret\"\n{more}\n"
    )
}

fn of(text: &str) -> Result<Config, Vec<(String, String)>> {
    let loaded = load(&format!("{RIGHT}\n{text}"));
    loaded.map(|loaded| loaded.config).map_err(|faults| {
        let said = |fault: Fault| (fault.field, format!("{:?}", fault.say));
        faults.list.into_iter().map(said).collect()
    })
}

const MINIO: &str = "endpoint = \"https://minio.example.cn:9000/\"\nbucket = \"duty-room\"";

#[test]
fn rec_d15_a_bucket_is_a_second_place_and_its_key_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let usual = of(&keys(folder.path(), MINIO)).unwrap();
    let Some(Copies::Bucket(bucket)) = &usual.storage.copies else { panic!("no bucket") };
    assert_eq!(bucket.endpoint, "https://minio.example.cn:9000");
    assert_eq!((bucket.region.as_str(), bucket.path_style), ("us-east-1", true));
    assert_eq!((bucket.access_key.expose(), bucket.secret_key.expose()), ("AKID", "very-secret"));
    assert!(usual.summary().contains("https://minio.example.cn:9000/duty-room\n"));
    for shown in [format!("{usual:?}"), usual.summary()] {
        assert!(!shown.contains("very-secret") && !shown.contains("AKID"));
    }
    let own = "endpoint = \"http://192.168.10.40:9000\"\nbucket = \"a.b-1\"\nprefix = \"/rooms/1/\"\n\
               region = \"cn-north-1\"\nallow = [\"192.168.10.40\"]";
    let own = of(&keys(folder.path(), own)).unwrap();
    let Some(place) = &own.storage.copies else { panic!("none") };
    assert_eq!(place.to_string(), "http://192.168.10.40:9000/a.b-1/rooms/1");
}

#[test]
fn rec_d15_a_bucket_that_cannot_work_is_refused_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = |from: &str, to: &str| {
        assert!(MINIO.contains(from), "{from}");
        of(&keys(folder.path(), &MINIO.replacen(from, to, 1))).unwrap_err()
    };
    let https = "https://minio.example.cn:9000/";
    for (from, to, field, remedy) in [
        ("endpoint", "endpont", "storage.s3.endpoint", "minio.example.cn"),
        (https, "http://minio.example.cn", "storage.s3.endpoint", "allow"),
        (https, "http://192.168.10.40:9000", "storage.s3.endpoint", "allow"),
        (https, "ftp://minio.example.cn", "storage.s3.endpoint", "https://"),
        (https, "https://minio.example.cn/duty", "storage.s3.endpoint", "prefix"),
        ("duty-room", "Duty_Room", "storage.s3.bucket", "小写"),
        ("duty-room", "no", "storage.s3.bucket", "3 到 63"),
        ("duty-room\"", "duty-room\"\nprefix = \"a/../b\"", "storage.s3.prefix", "room-1"),
        ("duty-room\"", "duty-room\"\nregion = \"a b\"", "storage.s3.region", "us-east-1"),
        ("duty-room\"", "duty-room\"\ntls_ca = \"/nowhere\"", "storage.s3.tls_ca", "/nowhere"),
        ("duty-room\"", "duty-room\"\nallow = [\"x\"]", "storage.s3.allow", "网段"),
    ] {
        let faults = bucket(from, to);
        assert!(faults.iter().any(|(at, say)| at == field && say.contains(remedy)), "{faults:?}");
    }
    let der = folder.path().join("ca.der");
    fs::write(&der, [0x30, 0x82, 1]).unwrap();
    fs::write(folder.path().join("ca.txt"), "no certificate").unwrap();
    for file in ["ca.der", "ca.txt"] {
        let ca = folder.path().join(file);
        let faults = bucket("duty-room\"", &format!("duty-room\"\ntls_ca = \"{}\"", ca.display()));
        assert_eq!(faults[0].0, "storage.s3.tls_ca");
        assert!(faults[0].1.contains("不是 PEM 证书"), "{faults:?}");
    }
    let public = "http://203.0.113.9\"\nallow = [\"203.0.113.9\"]\n#";
    assert_eq!(
        bucket(https, public)[0].0,
        "storage.s3.endpoint",
        "in the clear, over the internet"
    );
    let hosted = "https://192.168.10.40\"\npath_style = false\n#";
    assert_eq!(bucket(https, hosted)[0].0, "storage.s3.endpoint");
    for (key, spoiled) in
        [("access", "\u{feff}AKID"), ("secret", "very secret"), ("access", "AK\u{1}ID")]
    {
        let text = keys(folder.path(), MINIO);
        fs::write(folder.path().join(key), spoiled).unwrap();
        let faults = of(&text).unwrap_err();
        assert_eq!(faults[0].0, format!("storage.s3.{key}_key_file"));
        assert!(faults[0].1.contains("BOM") && faults[0].1.contains(key), "{faults:?}");
        assert!(!faults[0].1.contains("AKID") && !faults[0].1.contains("very"), "{faults:?}");
    }
    fs::remove_file(folder.path().join("secret")).unwrap();
    let text = keys(folder.path(), MINIO);
    fs::write(folder.path().join("secret"), "\n").unwrap();
    assert_eq!(of(&text).unwrap_err()[0].0, "storage.s3.secret_key_file");
    let none = of(&format!("[storage.s3]\n{MINIO}\n")).unwrap_err();
    let fields: Vec<_> = none.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["storage.s3.access_key_file", "storage.s3.secret_key_file"]);
}

#[test]
fn rec_d15_there_is_one_second_place() {
    let folder = tempfile::tempdir().unwrap();
    let both = format!("[storage]\ncopies = \"/mnt/second\"\n{}", keys(folder.path(), MINIO));
    let faults = of(&both).unwrap_err();
    assert_eq!(faults[0].0, "storage.copies");
    assert!(faults[0].1.contains("留一个"), "{faults:?}");
    let inside = of("[storage]\nrecordings = \"/r\"\ncopies = \"/r/second\"").unwrap_err();
    assert_eq!(inside[0].0, "storage.copies");
}
