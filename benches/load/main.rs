//! What calls cost, always beside a bare UDP relay in the same run. Prints figures and judges nothing.
//!
//! `cargo bench --bench load -- [spine|relay|urgent] [calls] [seconds]`; these three by default.
//! `-- signalling [calls a second] [seconds]` and `-- setup [calls a second] [seconds]` run by themselves, as does
//! `-- calls [how many]`, which goes on where it was ended, `-- search [entries]`, `-- matters [how many]`,
//! `-- audit [open] [closed]` and `-- recordings [hours]`.

mod audit;
mod awake;
mod bare;
mod calls;
mod cores;
mod crowd;
mod daemon;
mod matters;
mod phones;
mod recordings;
mod relay;
mod search;
mod setup;
mod signalling;
mod spine;
mod town;
mod urgent;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    if arguments.iter().any(|argument| argument == "calls") {
        return calls::run(numbers.next().unwrap_or(100_000) as usize);
    }
    if arguments.iter().any(|argument| argument == bare::ALONE) {
        return bare::alone();
    }
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    if asked("signalling") {
        return signalling::run(numbers.next().unwrap_or(400) as u32, numbers.next().unwrap_or(40));
    }
    if asked("setup") {
        return setup::run(numbers.next().unwrap_or(50) as u32, numbers.next().unwrap_or(30));
    }
    if asked("matters") {
        return matters::run(numbers.next().unwrap_or(200) as usize);
    }
    if asked("audit") {
        return audit::run(numbers.next().unwrap_or(10_000), numbers.next().unwrap_or(1_000_000));
    }
    if asked("recordings") {
        return recordings::run(numbers.next().unwrap_or(1));
    }
    if asked("search") {
        return search::run(numbers.next().unwrap_or(1_000_000));
    }
    let calls = numbers.next().unwrap_or(100) as usize;
    let seconds = numbers.next().unwrap_or(30);
    let wanted = |name: &str| {
        let named = |name: &str| arguments.iter().any(|argument| argument == name);
        named(name) || !["relay", "spine", "urgent"].into_iter().any(named)
    };
    let _awake = awake::Awake::new();
    if wanted("relay") {
        relay::run(calls, seconds);
    }
    if wanted("spine") {
        spine::run(calls, seconds);
    }
    if wanted("urgent") {
        urgent::run();
    }
}
