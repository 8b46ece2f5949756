//! One recording, from WAV to FLAC: made beside it, decoded from the disk again and compared, and only then in its place.

use super::codec;
use super::sound::{Sound, flac_of};
use crate::io::copies::file::{below, digest, forget};
use crate::io::copies::place::Place;
use crate::io::durable::{self, Durable};
use crate::io::store::{AsFlac, ToFlac};
use crate::io::tape::files::{self, Hashing};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Why there is no FLAC of it.
#[derive(Debug)]
pub enum Fault {
    /// Told to wait: to be tried again.
    Later,
    /// The recording is not what the log says, or none that could be had again: it stays as it is.
    Other(String),
    /// This one cannot be opened: its disk may be away, or it is lost. To be tried again, and others before it.
    Unread(String),
    Disk(String),
}

/// Makes the FLAC of a WAV, unless it is there from an earlier try. The WAV is read once, and must be what the log says;
/// what was written is read back and must give that WAV.
///
/// # Errors
/// Why there is none; nothing is left then that could be taken for one.
pub fn make(own: &Path, sealed: &ToFlac, goes_on: &dyn Fn() -> bool) -> Result<AsFlac, Fault> {
    let wav = below(own, &sealed.wav).map_err(Fault::Other)?;
    let flac = flac_of(&wav);
    let folder = wav.parent().unwrap_or(own);
    let disk = |fault: io::Error| match fault.kind() {
        io::ErrorKind::Interrupted => Fault::Later,
        _ => Fault::Disk(format!("{}: {fault}", flac.display())),
    };
    if flac.symlink_metadata().is_err() {
        let part = folder.join(format!(".{}.flac.part", sealed.call));
        let made = write(&wav, &part, &sealed.sha256, goes_on).and_then(|()| {
            gives(&part, &sealed.sha256, goes_on)?;
            durable::rename_noreplace(&part, &flac).map_err(disk)
        });
        if made.is_err() {
            // It goes now, or before the next try.
            let _ = durable::remove(&part);
        }
        made?;
    } else {
        // What an earlier run left may never have reached the disk.
        durable::sync_file(&flac).map_err(disk)?;
        gives(&flac, &sealed.sha256, goes_on)?;
    }
    durable::sync_folder(folder).map_err(disk)?;
    let bytes = flac.metadata().map_err(disk)?.len();
    let sha256 = digest(&flac).map_err(disk)?;
    Ok(AsFlac { path: flac_of(&sealed.wav), sha256, bytes })
}

fn write(wav: &Path, part: &Path, sha256: &str, goes_on: &dyn Fn() -> bool) -> Result<(), Fault> {
    let disk = |fault: io::Error| Fault::Disk(format!("{}: {fault}", part.display()));
    let source = durable::Readable::open(wav)
        .map_err(|fault| Fault::Unread(format!("{}: {fault}", wav.display())))?;
    let mut source = Tee(BufReader::with_capacity(256 * 1024, source), Hashing::new(io::sink()));
    let out: Durable = files::create(part).map_err(disk)?;
    let mut out = BufWriter::with_capacity(256 * 1024, out);
    codec::encode(&mut source, &mut out, goes_on).map_err(|fault| match fault.kind() {
        io::ErrorKind::Interrupted => Fault::Later,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Fault::Other(format!("{}: {fault}", wav.display()))
        }
        _ => disk(fault),
    })?;
    // What may stand behind the samples is part of its hash.
    io::copy(&mut source, &mut io::sink()).map_err(disk)?;
    if source.1.hex() != sha256 {
        return Err(Fault::Other(format!("{}: is not what the log says", wav.display())));
    }
    out.flush().map_err(disk)?;
    out.get_ref().sync_all().map_err(disk)
}

/// Decodes all of it, from the disk, and compares.
///
/// # Errors
/// Where it does not give the WAV of this hash, and what the disk says.
pub fn gives(flac: &Path, sha256: &str, goes_on: &dyn Fn() -> bool) -> Result<(), Fault> {
    let disk = |fault: io::Error| Fault::Disk(format!("{}: {fault}", flac.display()));
    if !goes_on() {
        return Err(Fault::Later);
    }
    forget(flac).map_err(disk)?;
    let decoded = File::open(flac).and_then(Sound::of_flac).and_then(Sound::digest);
    match decoded {
        Ok((found, _)) if found == sha256 => Ok(()),
        Ok(_) => Err(Fault::Other(format!("{}: gives another recording", flac.display()))),
        Err(fault) if fault.kind() == io::ErrorKind::InvalidData => {
            Err(Fault::Other(format!("{}: {fault}", flac.display())))
        }
        Err(fault) => Err(disk(fault)),
    }
}

/// Removes the WAV from this place, where the FLAC in it is the one that the log says; what is not there is gone already.
///
/// # Errors
/// Why it stays.
pub fn remove_wav(place: &Place, wav: &Path, flac: &AsFlac) -> Result<(), Fault> {
    if wav == flac.path || place.digest(&flac.path).map_err(Fault::Unread)? != flac.sha256 {
        return Err(Fault::Other(format!("{}: is not what the log says", place.at(&flac.path))));
    }
    place.remove(wav).map_err(Fault::Disk)
}

/// Hashes what is read.
struct Tee<R>(R, Hashing<io::Sink>);

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(bytes)?;
        self.1.write_all(&bytes[..read])?;
        Ok(read)
    }
}
