//! The laboratory's command line. `perf help` tells what there is.

use std::process::ExitCode;

use perf_lab::args::{Args, USAGE};
use perf_lab::{Result, compare, curves, expect, sweep};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let args = Args::parse(words)?;
    match command.as_str() {
        "compare" => compare::compare(&args),
        "sweep" => sweep::sweep(&args),
        "curves" => curves::curves(&args),
        "expect" => expect::expect(&args),
        _ => {
            print!("{USAGE}");
            Ok(())
        }
    }
}
