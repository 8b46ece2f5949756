//! Of disks that are away, hang or lose their power: nothing counts as gone that may be there.

use super::*;
use crate::io::durable;
use crate::io::keeping::files::Files;

/// The folder is there, and nothing in it: as a mount point without its disk.
#[tokio::test]
async fn rec_d14_a_lost_mount_is_no_destruction() {
    for kept in [0, 1] {
        let house = House::with(2).await;
        house.gives_up().await;
        for n in 0..kept {
            house.record(9 + n).await;
        }
        for disk in house.folders() {
            let away = house.folder.path().join("away");
            fs::rename(disk.join("2026"), &away).unwrap();
            assert!(!house.turn().await, "{} is empty", disk.display());
            assert_eq!(house.gone().await, 0);
            assert!(house.alarm().unwrap().contains("尚未清除"));
            fs::rename(&away, disk.join("2026")).unwrap();
            assert_eq!([1, 2].map(|n| house.files(call(n))), [4, 4], "neither disk was touched");
        }
        let alone = Plan { copies: None, ..house.plan.clone() };
        let alone = keeper(&alone, &house.store);
        assert!(!alone.turn().await.unwrap(), "the second copies are on a disk that nobody names");
        assert!(alone.board.status().alarms["keeping"].zh.contains("storage.copies"));
        assert_eq!(house.gone().await, 0);
        assert!(house.turn().await);
        assert_eq!((house.gone().await, house.alarm()), (2, None));
    }
}

#[tokio::test]
async fn rec_d14_all_that_holds_the_voice_goes_and_what_comes_back_is_told() {
    let house = House::with(2).await;
    let day = house.folders().map(|folder| folder.join("2026/10/03"));
    let (gone, kept) = (call(1), call(7));
    let mut beside = vec![];
    for folder in &day {
        for name in
            [format!("{gone}.wav.damaged-1"), format!("{gone}-2.tape"), format!(".{gone}.wav.part")]
        {
            beside.push(folder.join(name));
        }
        fs::write(folder.join(format!("{kept}.wav")), "of another call").unwrap();
    }
    beside.iter().for_each(|path| fs::write(path, "voice").unwrap());
    house.gives_up().await;
    assert!(house.turn().await);
    assert_eq!(house.gone().await, 2);
    assert!(beside.iter().all(|path| !path.exists()), "{beside:?}");
    assert!(day.iter().all(|folder| folder.join(format!("{kept}.wav")).exists()));
    fs::remove_file(day[0].join(format!("{kept}.wav"))).unwrap();
    let sweep = || orphans::sweep(&house.store, &house.plan.recordings, Duration::ZERO);
    assert_eq!(sweep().await.unwrap(), Orphans::default());
    fs::write(day[0].join(format!("{gone}.wav")), "from a backup").unwrap();
    assert_eq!(sweep().await.unwrap().files, 1, "it is back, and nobody may think it gone");
}

/// The names are gone for good before the row says so.
#[test]
fn rec_d14_a_removal_is_synced_before_it_counts() {
    use crate::io::durable::Asked;
    let folder = tempfile::tempdir().unwrap();
    let (name, other) = (format!("{}.wav", call(1)), format!("{}.wav", call(2)));
    for name in [&name, &other] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let (seen, told) = std::sync::mpsc::channel();
    durable::watch(Some(Box::new(move |asked| {
        let what = match asked {
            Asked::Remove(path) => path.to_owned(),
            Asked::SyncFolder(path) => path.join("synced"),
            _ => return Ok(true),
        };
        seen.send(what).unwrap();
        Ok(true)
    })));
    let files = |n: u8| KeptFiles {
        call: call(n),
        wav: Some(format!("{}.wav", call(n)).into()),
        tape: None,
    };
    let own = Place::Folder(folder.path().to_owned());
    let (first, second) =
        (Files::of(&own, &files(1)).unwrap(), Files::of(&own, &files(2)).unwrap());
    let on = AtomicBool::new(false);
    first.remove(call(1), &on).unwrap();
    on.store(true, Ordering::SeqCst);
    let late = second.remove(call(2), &on);
    durable::watch(None);
    assert_eq!(
        told.iter().collect::<Vec<_>>(),
        ["synced", &name].map(|n| folder.path().join(n)).iter().rev().cloned().collect::<Vec<_>>()
    );
    assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(folder.path().join(other).exists(), "whoever took too long is asked anew");
}

#[test]
fn rec_d14_a_disk_that_hangs_is_told_keeps_nobody_from_leaving_and_removes_nothing_late() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = Store::open_in_memory(random()).unwrap();
    let plan = Plan { recordings: PathBuf::new(), copies: None, turns: Turns::default() };
    let keeper = Keeper { patience: Duration::from_millis(10), ..keeper(&plan, &store) };
    runtime.block_on(async {
        let hanging = keeper.at_the_disks(move |late| {
            let _ = gate.recv();
            tell.send(late.load(Ordering::SeqCst)).unwrap();
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(200), hanging).await.is_err());
        assert!(keeper.board.status().alarms["keeping"].zh.contains("无应答"));
    });
    drop(runtime);
    drop(open);
    assert!(told.recv().unwrap(), "it knows that it is late");
}

/// The folder of its day is there, as the recorder makes it on a bare mount point, or as it is made on a new disk.
#[tokio::test]
async fn rec_d14_a_folder_that_holds_nothing_of_the_call_is_no_removal() {
    let house = House::with(1).await;
    house.gives_up().await;
    house.record(9).await;
    for disk in house.folders() {
        for (n, why) in [(1, "of the call"), (9, "the newest")] {
            let names = ["wav", "tape"].map(|last| format!("{}.{last}", call(n)));
            let day = disk.join("2026/10/03");
            for name in &names {
                fs::rename(day.join(name), house.folder.path().join(name)).unwrap();
            }
            assert!(!house.turn().await, "{} lacks {why}", disk.display());
            assert!(house.alarm().unwrap().contains("尚未清除"));
            assert_eq!(house.gone().await, 0);
            for name in &names {
                fs::rename(house.folder.path().join(name), day.join(name)).unwrap();
            }
            assert_eq!([1, 9].map(|n| house.files(call(n))), [4, 4], "no disk was touched");
        }
    }
    assert!(house.turn().await);
    assert_eq!((house.gone().await, house.alarm()), (1, None));
}
