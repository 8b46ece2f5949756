//! Asks for a password: on a terminal without showing it, else from standard input's first line.

use std::io::{BufRead, Error, ErrorKind, IsTerminal, Result, Write, stderr, stdin};
use std::mem::MaybeUninit;

/// The password, asked for twice on a terminal.
pub fn ask_password() -> Result<String> {
    if !stdin().is_terminal() {
        return read_line();
    }
    let first = ask("口令 · password: ")?;
    if ask("再输一次 · again: ")? != first {
        let differ = "两次输入不同 · the two are not the same";
        return Err(Error::new(ErrorKind::InvalidInput, differ));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<String> {
    write!(stderr(), "{prompt}")?;
    stderr().flush()?;
    let hidden = Hidden::hide()?;
    let line = read_line();
    drop(hidden);
    writeln!(stderr())?;
    line
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

/// The terminal does not echo while this lives.
struct Hidden(libc::termios);

impl Hidden {
    fn hide() -> Result<Self> {
        let mut before = MaybeUninit::uninit();
        // SAFETY: `before` is written by a call that succeeds before it is read.
        let before = unsafe {
            if libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()) != 0 {
                return Err(Error::last_os_error());
            }
            before.assume_init()
        };
        let hidden = Self(before);
        let mut silent = before;
        silent.c_lflag &= !libc::ECHO;
        // SAFETY: `silent` is a termios of this terminal with one bit changed.
        if unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, &raw const silent) } != 0 {
            return Err(Error::last_os_error());
        }
        Ok(hidden)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: the termios was read from this terminal. Nothing can be done if it refuses.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, &raw const self.0) };
    }
}
