//! Where threads and memory are on a machine with two NUMA nodes of two CPUs each. `run`
//! beside this package boots such a machine, in which this program is the first and only
//! one: it prints a line for each check, `numa: ok ...` or `numa: FAILED ...`, and turns the
//! machine off.
//!
//! Each part is a process of its own. Otherwise threads of one would get memory of the
//! C library that threads of the other, on another node, have written to first.

mod check;
mod key;
mod system;
mod text;
mod threads;
mod typed;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::{env, process};

use check::Checks;

/// What a part finds out.
type Part = fn(&mut Checks) -> Result<(), Box<dyn Error>>;

const PARTS: [(&str, Part); 2] = [("text", text::run), ("typed", typed::run)];

fn main() -> ExitCode {
    match env::args().nth(1) {
        Some(name) => part(&name),
        None if process::id() == 1 => {
            if let Err(error) = all_parts() {
                println!("numa: FAILED the machine: {error}");
            }
            println!("numa: end");
            system::power_off()
        }
        None => {
            eprintln!("this is the first program of a guest: see perf/numa/run");
            ExitCode::FAILURE
        }
    }
}

fn all_parts() -> Result<(), Box<dyn Error>> {
    // Random numbers for the seeds of hashes come from there.
    system::mount("devtmpfs", "/dev")?;
    system::mount("proc", "/proc")?;
    system::mount("sysfs", "/sys")?;
    system::loopback_up()?;
    for (name, _) in PARTS {
        let status = Command::new("/proc/self/exe").arg(name).status()?;
        if !status.success() {
            println!("numa: FAILED {name}: the process ended with {status}");
        }
    }
    Ok(())
}

fn part(name: &str) -> ExitCode {
    let mut checks = Checks::default();
    let part = PARTS.iter().find(|(known, _)| *known == name);
    let result = match part {
        Some((_, part)) => part(&mut checks),
        None => Err("there is no such part".into()),
    };
    if let Err(error) = result {
        checks.fail(&format!("{name} ran"), &error.to_string());
    }
    checks.into_exit_code()
}
