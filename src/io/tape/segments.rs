//! The running tape: one file after the other, shared by all calls, each kept until every call in it is sealed.

use super::folders::{Folders, numbered};
use super::header::{self, Header, boot_id};
use super::record::{self, Head, Place};
use crate::io::clock;
use crate::io::durable::{self, Durable};
use crate::protocol::now::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// A segment is left for the next one when it is this long, …
const BYTES_MAX: u32 = if cfg!(test) { 64 * 1024 } else { 64 * 1024 * 1024 };
/// … or this old.
const AGE_MAX: Duration = Duration::from_secs(600);

pub struct Segments {
    folders: Folders,
    /// The folder of the next one.
    at: usize,
    boot: Uuid,
    current: Option<Current>,
    next: u32,
    /// The last record of each call that is not sealed.
    last: BTreeMap<Uuid, Place>,
    /// The same as it was when everything was safe.
    safe: BTreeMap<Uuid, Place>,
    /// Which calls that are not sealed have records in a segment.
    holders: BTreeMap<u32, BTreeSet<Uuid>>,
    encoded: Vec<u8>,
}

struct Current {
    file: Durable,
    number: u32,
    place: usize,
    length: u32,
    opened: Mono,
    dirty: bool,
}

impl Current {
    fn make_again(&mut self, folders: &Folders) -> io::Result<()> {
        let folder = folders.make(self.place)?;
        self.file = self.file.made_again(u64::from(self.length))?;
        durable::sync_folder(folder)
    }
}

impl Segments {
    /// Counts from `first` on; no file is made before there is something to write.
    pub fn new(folders: Folders, first: u32) -> Self {
        Self {
            folders,
            at: 0,
            boot: boot_id(),
            current: None,
            next: first.max(1),
            last: BTreeMap::new(),
            safe: BTreeMap::new(),
            holders: BTreeMap::new(),
            encoded: Vec::new(),
        }
    }

    /// Appends the records, all or none. Gives the place of each call's last record where the call is finished.
    ///
    /// # Errors
    /// What the disk says; the next try goes to a new file.
    pub fn append(
        &mut self,
        frames: &[(Head, impl AsRef<[u8]>)],
    ) -> io::Result<Vec<(Uuid, Place)>> {
        self.begin()?;
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("no segment is open"));
        };
        self.encoded.clear();
        // The records of one call stand together, so that sealing reads them together.
        let mut order: Vec<_> = frames.iter().collect();
        order.sort_by_key(|(head, _)| head.call);
        let mut last: BTreeMap<Uuid, Place> = BTreeMap::new();
        let mut finished = Vec::new();
        for group in order.chunk_by(|(one, _), (other, _)| one.call == other.call) {
            let Some((Head { call, .. }, _)) = group.first() else { continue };
            let mut previous = self.last.get(call).copied().unwrap_or_default();
            for (head, packet) in group {
                let offset = current.length + self.encoded.len() as u32;
                record::write(&Head { previous, ..*head }, packet.as_ref(), &mut self.encoded);
                previous = Place { segment: current.number, offset };
                if head.kind == record::Kind::Finished {
                    finished.push((*call, previous));
                }
            }
            last.insert(*call, previous);
        }
        if let Err(fault) = current.file.write_all(&self.encoded) {
            // What was half written is cut off where that is possible; the reader copes where it is not.
            let _ = current.file.cut(u64::from(current.length));
            self.current = None;
            return Err(fault);
        }
        current.length += self.encoded.len() as u32;
        current.dirty = true;
        self.holders.entry(current.number).or_default().extend(last.keys());
        self.last.append(&mut last);
        Ok(finished)
    }

    /// Makes everything appended safe against a power cut. False where there was nothing to do.
    ///
    /// # Errors
    /// What the disk says. The file is not tried again: the kernel may have dropped what it could not write.
    pub fn sync(&mut self) -> io::Result<bool> {
        let Some(current) = self.current.as_mut().filter(|current| current.dirty) else {
            return Ok(false);
        };
        current.dirty = false;
        let mut result = current.file.sync_data();
        if result.is_ok() && current.file.is_gone() {
            tracing::warn!("somebody has deleted the running tape; it is made again");
            result = current.make_again(&self.folders);
        }
        match &result {
            Ok(()) => self.safe.clone_from(&self.last),
            Err(_) => self.current = None,
        }
        result.map(|()| true)
    }

    /// What was appended since the last sync is not on the tape: it will be appended again, to another file.
    pub fn go_back(&mut self) {
        self.current = None;
        self.last.clone_from(&self.safe);
    }

    /// The last record of each call that is not sealed.
    pub fn last(&self) -> &BTreeMap<Uuid, Place> {
        &self.last
    }

    /// The call is sealed; segments that no call needs any more are removed.
    pub fn forget(&mut self, call: Uuid) {
        self.last.remove(&call);
        self.safe.remove(&call);
        let current = self.current.as_ref().map(|current| current.number);
        let folders = &self.folders;
        self.holders.retain(|segment, calls| {
            calls.remove(&call);
            let needed = !calls.is_empty() || current == Some(*segment);
            if !needed {
                remove(&folders.segment(*segment));
            }
            needed
        });
    }

    /// Leaves the current segment; removes it when no call needs it.
    pub fn close(&mut self) {
        let Some(current) = self.current.take() else { return };
        let needed = self.holders.get(&current.number).is_some_and(|calls| !calls.is_empty());
        if !needed {
            self.holders.remove(&current.number);
            remove(&self.folders.segment(current.number));
        }
    }

    /// The next segment is begun in this folder.
    pub fn go_to(&mut self, place: usize) {
        self.close();
        self.at = place;
    }

    /// It is time for the next one. What is in this one must be safe before it is left.
    pub fn is_full(&self) -> bool {
        let now = clock::mono();
        self.current.as_ref().is_some_and(|current| {
            current.length >= BYTES_MAX || now.since(current.opened) >= AGE_MAX
        })
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        let folder = self.folders.make(self.at)?;
        let (number, file) = loop {
            let number = numbered(self.next, self.at);
            self.next += 1;
            match Durable::create(&self.folders.segment(number)) {
                // An earlier run's, in a folder that could not be looked into when this one began.
                Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
                made => break (number, made?),
            }
        };
        let now = clock::now();
        let header = Header { segment: number, anchor: now, boot: self.boot };
        let file = begun(file, &header, folder).inspect_err(|_| {
            // What is half made holds nothing; the next start takes away what cannot be removed now.
            let _ = durable::remove(&self.folders.segment(number));
        })?;
        let (place, length, opened) = (self.at, header::BYTES as u32, now.mono);
        self.current = Some(Current { file, number, place, length, opened, dirty: false });
        Ok(())
    }
}

/// A segment that lasts, with nothing but its header.
fn begun(mut file: Durable, header: &Header, folder: &Path) -> io::Result<Durable> {
    file.write_all(&header.to_bytes())?;
    file.sync_all()?;
    durable::sync_folder(folder)?;
    Ok(file)
}

fn remove(path: &Path) {
    if let Err(fault) = durable::remove(path) {
        tracing::warn!(path = %path.display(), %fault, "cannot remove a segment of the tape whose calls are sealed");
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Kind;
    use super::super::scan::{Ending, Scan};
    use super::*;
    use std::fs;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn frame(call: Uuid, kind: Kind, n: u8) -> (Head, Vec<u8>) {
        (Head { kind, length: 3, ..Head::finished(call, Mono(u64::from(n))) }, vec![n; 3])
    }

    fn files(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn records_of_a_call_are_chained_from_its_last_one_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut tape = Segments::new(Folders::new(folder.path().to_owned(), &[]), 5);
        tape.append(&[
            frame(ONE, Kind::Opened, 1),
            frame(TWO, Kind::Opened, 2),
            frame(ONE, Kind::Packet, 3),
        ])
        .unwrap();
        let finished =
            tape.append(&[frame(TWO, Kind::Packet, 4), frame(ONE, Kind::Finished, 5)]).unwrap();
        tape.sync().unwrap();
        let mut scan = Scan::open(&tape.folders.segment(5)).unwrap().unwrap();
        let mut heads = BTreeMap::new();
        while let Some((at, head, _)) = scan.next().unwrap() {
            heads.insert(Place { segment: 5, offset: at as u32 }, head);
        }
        assert_eq!((heads.len(), scan.ending()), (5, Ending::Whole));
        let [(call, mut place)] = finished[..] else { panic!("{finished:?}") };
        assert_eq!(call, ONE);
        let mut order = Vec::new();
        while place != Place::default() {
            order.push(heads[&place].arrival.0);
            place = heads[&place].previous;
        }
        assert_eq!(order, [5, 3, 1]);
    }

    #[test]
    fn a_segment_goes_when_every_call_in_it_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let mut tape = Segments::new(Folders::new(folder.path().to_owned(), &[]), 1);
        tape.append(&[frame(ONE, Kind::Packet, 1), frame(TWO, Kind::Packet, 2)]).unwrap();
        tape.close();
        tape.append(&[frame(TWO, Kind::Packet, 3)]).unwrap();
        tape.forget(ONE);
        assert_eq!(files(folder.path()), ["segment-00000001.tape", "segment-00000002.tape"]);
        tape.forget(TWO);
        assert_eq!(files(folder.path()), ["segment-00000002.tape"], "the current one stays");
        tape.close();
        assert_eq!(files(folder.path()), Vec::<String>::new());
    }

    /// The folder could not be looked into when the run began, so that nobody knew of it.
    #[test]
    fn rec_d3_what_an_earlier_run_left_under_the_next_name_is_neither_written_over_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("segment-00000001.tape");
        fs::write(&left, "an earlier run's").unwrap();
        let mut tape = Segments::new(Folders::new(folder.path().to_owned(), &[]), 1);
        tape.append(&[frame(ONE, Kind::Packet, 1)]).unwrap();
        assert_eq!(files(folder.path()), ["segment-00000001.tape", "segment-00000002.tape"]);
        assert_eq!(fs::read(&left).unwrap(), b"an earlier run's");
    }

    #[test]
    fn a_missing_folder_is_made_and_a_file_in_its_place_is_a_fault_that_passes() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("tape");
        fs::write(&inside, "in the way").unwrap();
        let mut tape = Segments::new(Folders::new(inside.clone(), &[]), 1);
        assert!(tape.append(&[frame(ONE, Kind::Packet, 1)]).is_err());
        fs::remove_file(&inside).unwrap();
        tape.append(&[frame(ONE, Kind::Packet, 1)]).unwrap();
        assert_eq!(files(&inside).len(), 1);
    }
}
