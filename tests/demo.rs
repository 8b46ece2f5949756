//! `demo --once` on real loopback sockets: one urgent call, from the first ring to the sealed
//! recording, compared with what was really said and done.

use dutyline::demo::{DemoOptions, run};
use std::process::ExitCode;

#[tokio::test(flavor = "multi_thread")]
async fn one_urgent_call_on_real_sockets_is_written_down_as_it_was() {
    let options = DemoOptions { once: true, ..DemoOptions::default() };
    assert_eq!(run(options).await.expect("every step happens"), ExitCode::SUCCESS);
}
