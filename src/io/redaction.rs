//! 脱敏: a copy of a recording in which a stretch is silent, on one side or both. The original is read, and compared with
//! the log while it is; nothing is written to it.

use super::disk;
use super::durable;
use super::flac::sound::Sound;
use super::store::{Cut, Derived, RecordingFile, Side};
use super::tape::files::{self, Hashing};
use super::wav_file;
use crate::duty::ids::CallId;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

/// Makes the copy beside its original, which `found` names below `recordings`. `spare`: bytes that are to be free still
/// when it is there.
///
/// # Errors
/// What the disk says, [`io::ErrorKind::StorageFull`] before anything is written where there is no room, and where the
/// original is not what the log says: then there is no copy.
pub fn make(
    recordings: &Path,
    found: &RecordingFile,
    (call, cut): (CallId, Cut),
    spare: u64,
) -> io::Result<Derived> {
    let original = recordings.join(&found.wav);
    let folder = original.parent().unwrap_or(recordings);
    let sound = Sound::open(&original)?;
    if disk::free_space(folder)? < sound.length()?.saturating_add(spare) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let part = folder.join(format!(".{call}.redacted.part"));
    let written = write(sound, &part, cut).and_then(|(read, sha256, bytes)| {
        if read != found.sha256 {
            let path = original.display();
            return Err(io::Error::other(format!("{path}: 与记录不符 · is not what the log says")));
        }
        let Cut { from_ms, to_ms, .. } = cut;
        let stem = format!("{call}-redacted-{from_ms}-{to_ms}");
        let path = files::publish(&part, &stem, "wav")?;
        durable::sync_folder(folder)?;
        let wav = path.strip_prefix(recordings).map_err(io::Error::other)?.to_owned();
        Ok(Derived { call, cut, original: read, sha256, wav, bytes })
    });
    if written.is_err() {
        // Nothing takes it for a copy; it goes now or before the next one.
        let _ = durable::remove(&part);
    }
    written
}

/// A copy that no row names.
///
/// # Errors
/// What the disk says.
pub fn discard(copy: &Path) -> io::Result<()> {
    durable::remove(copy)?;
    copy.parent().map_or(Ok(()), durable::sync_folder)
}

/// The hash of what was read, and hash and length of what was written.
fn write(original: Sound, part: &Path, cut: Cut) -> io::Result<(String, String, u64)> {
    let mut source = Hashed {
        inner: BufReader::with_capacity(256 * 1024, original),
        hash: Hashing::new(io::sink()),
    };
    let mut out = Hashing::new(files::create(part)?);
    let sides = match cut.side {
        Side::Both => [true, true],
        Side::Left => [true, false],
        Side::Right => [false, true],
    };
    let sample = |ms: u32| u64::from(ms) * u64::from(wav_file::RATE) / 1000;
    let bytes =
        wav_file::silenced(&mut source, &mut out, sample(cut.from_ms)..sample(cut.to_ms), sides)?;
    // What may stand behind the samples is part of its hash.
    io::copy(&mut source, &mut io::sink())?;
    out.inner.sync_all()?;
    Ok((source.hash.hex(), out.hex(), bytes))
}

struct Hashed<R> {
    inner: R,
    hash: Hashing<io::Sink>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.write_all(&bytes[..read])?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::durable::Durable;
    use crate::io::kept::Places;
    use crate::io::proof::bundle::Manifest;
    use crate::io::proof::handed;
    use crate::io::proof::key::SigningKey;
    use crate::io::proof::order::Order;
    use crate::io::proof::verify::Wanted;
    use crate::io::store::tests::{add_officer, at, call, entry, officer as who, one, random};
    use crate::io::store::{Absent, Scope, Sealed, Sounds, Store, WhyAbsent};
    use crate::io::wav_file::StereoWriter;
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    /// Two seconds, the left counting up and the right down.
    fn recorded(folder: &Path) -> RecordingFile {
        let wav = format!("2026/{}.wav", call(1)).into();
        fs::create_dir(folder.join("2026")).unwrap();
        let file = Durable::create(&folder.join(&wav)).unwrap();
        let left: Vec<i16> = (1..=16_000).collect();
        let right: Vec<i16> = left.iter().map(|sample| -sample).collect();
        let mut out = StereoWriter::new(file, 16_000).unwrap();
        out.write(&left, &right).unwrap();
        out.finish().unwrap();
        let sha256 = files::sha256(&folder.join(&wav)).unwrap();
        RecordingFile { wav, sha256, sealed: chrono::DateTime::UNIX_EPOCH }
    }

    #[test]
    fn rec_e3_a_stretch_is_silent_in_the_copy_and_nothing_else_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let found = recorded(folder);
        let before = fs::read(folder.join(&found.wav)).unwrap();
        for (side, silent) in
            [(Side::Both, [true, true]), (Side::Left, [true, false]), (Side::Right, [false, true])]
        {
            let cut = Cut { from_ms: 500, to_ms: 1250, side };
            let made = make(folder, &found, (call(1), cut), 0).unwrap();
            assert_ne!(made.wav, found.wav);
            assert_eq!(made.original, found.sha256);
            assert_eq!(made.sha256, files::sha256(&folder.join(&made.wav)).unwrap());
            let copy = fs::read(folder.join(&made.wav)).unwrap();
            assert_eq!((copy.len() as u64, copy.len()), (made.bytes, before.len()));
            let channels = wav_file::read(&copy[..]).unwrap();
            for (side, samples) in channels.iter().enumerate() {
                for (at, sample) in samples.iter().enumerate() {
                    let own = (at as i16 + 1) * [1, -1][side];
                    let cut = silent[side] && (4_000..10_000).contains(&at);
                    assert_eq!(*sample, if cut { 0 } else { own }, "{side} {at}");
                }
            }
        }
        assert_eq!(fs::read(folder.join(&found.wav)).unwrap(), before, "the original is untouched");
        let names = fs::read_dir(folder.join("2026")).unwrap().count();
        assert_eq!(names, 4, "the original and three copies");
    }

    #[test]
    fn rec_e3_of_what_is_not_what_the_log_says_there_is_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let found = recorded(folder);
        let mut bytes = fs::read(folder.join(&found.wav)).unwrap();
        bytes[9_000] ^= 1;
        fs::write(folder.join(&found.wav), &bytes).unwrap();
        let cut = Cut { from_ms: 0, to_ms: 2_000, side: Side::Both };
        let why = make(folder, &found, (call(1), cut), 0).unwrap_err().to_string();
        assert!(why.contains("与记录不符"), "{why}");
        let full = make(folder, &found, (call(1), cut), u64::MAX / 2).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "before anything is written");
        assert_eq!(fs::read(folder.join(&found.wav)).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.join("2026")).unwrap().count(), 1, "nothing is left");
    }

    /// A house with one recording.
    struct House {
        folder: tempfile::TempDir,
        recordings: std::path::PathBuf,
        store: Store,
        found: RecordingFile,
    }

    const CUT: Cut = Cut { from_ms: 500, to_ms: 1250, side: Side::Left };

    impl House {
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let recordings = folder.path().join("recordings");
            fs::create_dir(&recordings).unwrap();
            let store = Store::open(&folder.path().join("dutyline.db"), random()).unwrap();
            add_officer(&store);
            entry(&store, 1, 0.0);
            let found = recorded(&recordings);
            let sealed = Sealed {
                wav: found.wav.clone(),
                sha256: found.sha256.clone(),
                duration: Duration::from_secs(2),
                ..Sealed::default()
            };
            assert!(store.recording_sealed(call(1), sealed, at(9.0)).await.unwrap());
            Self { folder, recordings, store, found }
        }

        fn makes(&self) -> Derived {
            make(&self.recordings, &self.found, (call(1), CUT), 0).unwrap()
        }

        async fn derives(&self, made: Derived, why: &str) -> Option<i64> {
            self.store.derive(&who(), made, why, at(10.0)).await.unwrap()
        }

        async fn hands_out(&self, sounds: Sounds) -> (tempfile::TempDir, std::path::PathBuf) {
            let origin = self.store.origin().await.unwrap();
            let key = Arc::new(SigningKey::load_or_make(self.folder.path(), &origin).unwrap());
            let (store, places) = (&self.store, Places::alone(&self.recordings));
            let (scope, now) = (Scope::Entry(call(1).into()), at(20.0));
            let order = Order { store, places, key, who: None, scope, sounds, now };
            let elsewhere = tempfile::tempdir().unwrap();
            let bundle = order.bundle().await.unwrap().unwrap();
            let folder = bundle.write_into(elsewhere.path()).unwrap();
            (elsewhere, folder)
        }
    }

    #[tokio::test]
    async fn rec_e3_a_copy_is_bound_to_its_original_handed_out_as_derived_and_checked() {
        let house = House::open().await;
        let (store, found, made) = (&house.store, &house.found, house.makes());
        assert_eq!(house.derives(made.clone(), " ").await, None, "no reason");
        let other = Derived { original: "0".repeat(64), ..made.clone() };
        assert_eq!(house.derives(other, "x").await, None, "of another original");
        assert_eq!(house.derives(made.clone(), "隐去报料人").await, Some(1));
        let [row] = &store.derived(call(1)).await.unwrap()[..] else { panic!("one") };
        assert_eq!((row.cut, row.reason.as_str(), row.by.as_str()), (CUT, "隐去报料人", "王值班"));
        let file = store.derived_file(call(1), 1).await.unwrap().unwrap();
        assert_eq!((file.wav, file.sha256), (made.wav.clone(), made.sha256.clone()));
        let audit = "SELECT detail FROM audit WHERE action = 'recording.derive'";
        assert_eq!(one::<String>(store, audit), "1 · 500–1250 ms left · 隐去报料人");

        let (_elsewhere, handed) = house.hands_out(Sounds::All).await;
        let check = || handed::check(&handed, None).unwrap();
        let report = check();
        assert!(report.is_sound() && report.derived == 1, "{report}");
        let table = fs::read_to_string(handed.join("derived.csv")).unwrap();
        assert!(table.contains(&found.sha256) && table.contains("隐去报料人"), "{table}");
        let readme = fs::read_to_string(handed.join("README.txt")).unwrap();
        assert!(readme.contains("未脱敏") && readme.contains("nothing silenced"), "{readme}");
        let copy = handed.join(format!("derived/{}-1.wav", call(1)));
        assert_eq!(files::sha256(&copy).unwrap(), made.sha256);
        fs::copy(handed.join(format!("recordings/{}.wav", call(1))), &copy).unwrap();
        assert!(check().to_string().contains("derived/"), "the original in its place is found");

        let wanted = Wanted {
            data: house.folder.path().to_owned(),
            recordings: house.recordings.clone(),
            ..Wanted::default()
        };
        fs::write(house.recordings.join(&made.wav), "spoiled").unwrap();
        let report = wanted.check().unwrap().to_string();
        assert!(report.contains(&made.wav.display().to_string()), "{report}");
    }
    #[tokio::test]
    async fn rec_e3_who_may_have_the_copies_only_is_handed_no_original_and_told_what_is_not_there()
    {
        let house = House::open().await;
        assert_eq!(house.derives(house.makes(), "隐去报料人").await, Some(1));
        house.hands_out(Sounds::All).await;
        let (_elsewhere, handed) = house.hands_out(Sounds::RedactedOnly).await;
        let check = || handed::check(&handed, None).unwrap();
        let report = check();
        assert!(report.is_sound() && report.derived == 1 && report.withheld.len() == 1, "{report}");
        assert!(report.to_string().contains("原始录音 1 份未附"), "{report}");
        assert!(!handed.join("recordings").exists(), "no original and no tape");
        let manifest = fs::read(handed.join("manifest.json")).unwrap();
        let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
        let absent = Absent {
            call: call(1).to_string(),
            why: WhyAbsent::RedactedOnly,
            reason: String::new(),
            file: String::new(),
        };
        assert_eq!(manifest.absent, [absent]);
        let readme = fs::read_to_string(handed.join("README.txt")).unwrap();
        assert!(
            readme.contains("不附原始录音") && !readme.contains("nothing silenced"),
            "{readme}"
        );
        let audit = "SELECT group_concat(detail LIKE '%redacted only') FROM audit WHERE action = 'export.ask'";
        assert_eq!(one::<String>(&house.store, audit), "0,1");
        fs::create_dir(handed.join("recordings")).unwrap();
        let beside = handed.join(format!("recordings/{}.wav", call(1)));
        fs::copy(house.recordings.join(&house.found.wav), beside).unwrap();
        assert!(!check().is_sound(), "an original that is put beside it is found");
    }
}
