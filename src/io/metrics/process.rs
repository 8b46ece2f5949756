//! What the process itself takes, as Prometheus names it for every program.

use std::fs;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// In memory, in bytes.
    pub resident: u64,
    pub virtual_: u64,
    pub files: u64,
    pub threads: u64,
    /// Processor time, in hundredths of a second.
    pub ticks: u64,
}

/// What cannot be read is 0.
pub fn usage() -> Usage {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as u64;
    Usage { files, ..of(&stat, page()) }
}

/// proc(5): the name in brackets may hold anything.
fn of(stat: &str, page: u64) -> Usage {
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<u64> = after.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    // The first field after the name is the third of the line.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    Usage {
        resident: field(24) * page,
        virtual_: field(23),
        files: 0,
        threads: field(20),
        ticks: field(14) + field(15),
    }
}

fn page() -> u64 {
    // SAFETY: sysconf only reads a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_name() {
        let line = "7 (a ) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 99 1000000 12 18446744073709551615";
        let seen = of(line, 4096);
        let wanted =
            Usage { resident: 12 * 4096, virtual_: 1_000_000, files: 0, threads: 9, ticks: 200 };
        assert_eq!(seen, wanted);
        assert_eq!(of("", 4096), Usage::default());
    }

    #[test]
    fn this_process_takes_something() {
        let usage = usage();
        assert!(usage.resident > 1 << 20 && usage.files > 2 && usage.threads > 0, "{usage:?}");
    }
}
