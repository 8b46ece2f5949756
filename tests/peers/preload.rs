//! What stands between the daemon and its host: a library that is loaded before it, and to which a test says one number.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

pub struct Preload {
    library: String,
    variable: &'static str,
    file: String,
}

impl Preload {
    /// Of `host.c`, which hears of this variable.
    pub fn new(folder: &Path, variable: &'static str) -> Self {
        let inside = |name: &str| folder.join(name).display().to_string();
        let own = Self { library: inside("host.so"), variable, file: inside(variable) };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/host.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o", &own.library]).arg(source);
        assert!(compiler.status().expect("a C compiler").success());
        fs::write(&own.file, [0; 8]).expect("written");
        own
    }

    pub fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", &self.library), (self.variable, &self.file)]
    }

    pub fn say(&self, number: i64) {
        let file = fs::OpenOptions::new().write(true).open(&self.file).expect("opened");
        file.write_all_at(&number.to_ne_bytes(), 0).expect("written");
    }
}
