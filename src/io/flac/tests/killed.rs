//! Killed at any step.

use super::*;

/// Each operation on either disk is the last before the daemon is killed; the next one begins where that one ended.
#[test]
fn killed_at_any_step_nothing_is_lost_and_the_next_run_goes_on() {
    let sealed = ToFlac { call: call(1), wav: "d/a.wav".into(), sha256: String::new() };
    let wav = speech(1);
    let mut ends = 0;
    for last in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let roots = ["own", "copies"].map(|name| folder.path().join(name));
        for root in &roots {
            fs::create_dir_all(root.join("d")).unwrap();
            fs::write(root.join("d/a.wav"), &wav).unwrap();
        }
        let sha256 = files::sha256(&roots[0].join("d/a.wav")).unwrap();
        let sealed = ToFlac { sha256, ..sealed.clone() };
        let mut noted = None;
        simulated::refuse(last, u64::MAX, libc::EIO);
        let killed = steps(&roots, &sealed, &mut noted).is_err();
        simulated::mend();
        for root in &roots {
            let read = |path: &Path| Sound::open(path).and_then(Sound::digest).unwrap();
            let (found, bytes) = read(&root.join("d/a.wav"));
            assert_eq!((found, bytes), (sealed.sha256.clone(), wav.len() as u64), "{last}");
        }
        steps(&roots, &sealed, &mut noted).unwrap();
        for root in &roots {
            let names = fs::read_dir(root.join("d")).unwrap();
            let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["a.flac"], "{last}");
            let (found, _) = Sound::open(&root.join("d/a.wav")).and_then(Sound::digest).unwrap();
            assert_eq!(found, sealed.sha256);
        }
        if !killed {
            break;
        }
        ends += 1;
    }
    assert!(ends > 20, "{ends}");
}

/// As the keeper does it; `noted` is what the log says.
fn steps(roots: &[PathBuf], sealed: &ToFlac, noted: &mut Option<AsFlac>) -> Result<(), Fault> {
    let made = match noted {
        Some(made) => made.clone(),
        None => {
            let made = file::make(&roots[0], sealed, &|| true)?;
            let copied = copy(&roots[0], &roots[1], &made.path, &made.sha256);
            copied.map_err(|lost| Fault::Disk(lost.why()))?;
            noted.insert(made).clone()
        }
    };
    for root in roots.iter().rev() {
        file::gives(&roots[0].join(&made.path), &sealed.sha256, &|| true)?;
        file::remove_wav(&Place::Folder(root.clone()), &sealed.wav, &made)?;
    }
    Ok(())
}
