//! The sound of a recording, whichever form is kept: the WAV that was sealed, or FLAC, of which the same bytes are had.

use super::codec::Wav;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PIECE: usize = 256 * 1024;

/// The bytes of a sealed file.
pub enum Sound {
    /// Of a file as it is.
    Itself(File),
    Flac(Box<Wav<BufReader<File>>>),
}

/// The name under which the sound of this WAV is kept as FLAC.
pub fn flac_of(wav: &Path) -> PathBuf {
    wav.with_extension("flac")
}

fn is_wav(path: &Path) -> bool {
    path.extension().is_some_and(|last| last == "wav")
}

impl Sound {
    /// Of the file of this name; of its FLAC where it is a WAV and that is what is left.
    ///
    /// # Errors
    /// What the disk says of the WAV where there is neither, and where the FLAC is none of ours.
    pub fn open(wav: &Path) -> io::Result<Self> {
        Self::open_as(wav, OpenOptions::new().read(true))
    }

    /// As [`Sound::open`]; a link, which may lead anywhere, is refused.
    ///
    /// # Errors
    /// As [`Sound::open`].
    pub fn open_itself(wav: &Path) -> io::Result<Self> {
        Self::open_as(wav, OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW))
    }

    fn open_as(wav: &Path, how: &OpenOptions) -> io::Result<Self> {
        let missing = match how.open(wav) {
            Ok(file) => return Ok(Self::Itself(file)),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound && is_wav(wav) => fault,
            Err(fault) => return Err(fault),
        };
        match how.open(flac_of(wav)) {
            Ok(file) => Self::of_flac(file),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Err(missing),
            Err(fault) => Err(fault),
        }
    }

    /// # Errors
    /// What the disk says, and where it is no FLAC of ours.
    pub fn of_flac(file: File) -> io::Result<Self> {
        Ok(Self::Flac(Box::new(Wav::open(BufReader::with_capacity(64 * 1024, file))?)))
    }

    /// Bytes of the WAV.
    ///
    /// # Errors
    /// What the disk says.
    pub fn length(&self) -> io::Result<u64> {
        match self {
            Self::Itself(file) => Ok(file.metadata()?.len()),
            Self::Flac(wav) => Ok(wav.length()),
        }
    }

    /// SHA-256 of what follows, in hex, and how many bytes that is.
    ///
    /// # Errors
    /// What the disk says, and where a FLAC is damaged.
    pub fn digest(mut self) -> io::Result<(String, u64)> {
        let (mut hash, mut piece, mut bytes) = (Sha256::new(), vec![0; PIECE], 0);
        loop {
            match self.read(&mut piece)? {
                0 => return Ok((hex::encode(hash.finalize()), bytes)),
                read => {
                    hash.update(&piece[..read]);
                    bytes += read as u64;
                }
            }
        }
    }
}

impl Read for Sound {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Itself(file) => file.read(bytes),
            Self::Flac(wav) => wav.read(bytes),
        }
    }
}

impl Seek for Sound {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Itself(file) => file.seek(to),
            Self::Flac(wav) => wav.seek(to),
        }
    }
}
