//! What runs for long: in parts side by side (`DUTYLINE_PART=0/4` and on), and on from where it was ended
//! (`DUTYLINE_RECORD`, a file).

use std::fs;
use std::path::PathBuf;

/// What was done before, a line each. Without a file everything is done each time.
pub struct Record {
    file: Option<PathBuf>,
    part: usize,
    parts: usize,
}

impl Record {
    pub fn open() -> Self {
        let file = std::env::var_os("DUTYLINE_RECORD").map(PathBuf::from);
        let (mut part, mut parts) = (0, 1);
        if let Ok(told) = std::env::var("DUTYLINE_PART") {
            let told = told.split_once('/').expect("a part and how many there are, as in 0/4");
            part = told.0.parse().expect("a part");
            parts = told.1.parse().expect("how many parts");
        }
        Self { file, part, parts }
    }

    /// Each process has a part of its own.
    pub fn is_mine(&self, nth: usize) -> bool {
        nth % self.parts == self.part
    }

    pub fn done(&self) -> Vec<String> {
        let text = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub fn add(&self, done: &str) {
        use std::io::Write;
        let Some(file) = &self.file else { return };
        let mut file = fs::File::options().create(true).append(true).open(file).expect("a record");
        file.write_all(format!("{done}\n").as_bytes()).expect("written");
    }
}

/// Rounds that are each different, and each the same whenever it is run: what each of them came to, in milliseconds.
pub struct Rounds {
    record: Record,
    figures: Vec<Option<u128>>,
}

impl Rounds {
    pub fn open(many: usize) -> Self {
        let record = Record::open();
        let mut figures = vec![None; many];
        for line in record.done() {
            let known = line.split_once(' ').and_then(|(round, figure)| {
                Some((round.parse::<usize>().ok()?, figure.parse().ok()?))
            });
            if let Some((round, figure)) = known
                && let Some(place) = figures.get_mut(round)
            {
                *place = Some(figure);
            }
        }
        Self { record, figures }
    }

    /// Which this process has yet to do.
    pub fn left(&self) -> Vec<usize> {
        let left = |round: &usize| self.record.is_mine(*round) && self.figures[*round].is_none();
        (0..self.figures.len()).filter(left).collect()
    }

    pub fn done(&mut self, round: usize, figure: u128) {
        self.figures[round] = Some(figure);
        self.record.add(&format!("{round} {figure}"));
    }

    /// How many were done, by whatever process, and the most that one came to.
    pub fn sum(&self) -> (usize, u128) {
        let known: Vec<u128> = self.figures.iter().flatten().copied().collect();
        (known.len(), known.iter().max().copied().unwrap_or(0))
    }
}

/// Numbers by chance, the same for the same round.
pub fn chance(round: usize) -> impl FnMut(u32) -> u32 {
    let mut state = (round as u32 + 1).wrapping_mul(0x9e37_79b9) | 1;
    move |below| {
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
        }
        state % below
    }
}
