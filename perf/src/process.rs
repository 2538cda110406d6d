//! An engine that runs: its process, and the talk with it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cpu::Cpu;
use crate::protocol::{Done, Words, answer};

/// The longest time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// A running engine. It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Process {
    /// Starts `command` in `folder`. `name` names it in errors.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let mut child = command
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        let orders = child.stdin.take();
        let output = child.stdout.take().ok_or("its output is a pipe")?;
        let (line, answers) = channel();
        thread::spawn(move || {
            for answer in BufReader::new(output).lines().map_while(Result::ok) {
                if line.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            name: name.to_owned(),
            child,
            orders,
            answers,
        })
    }

    /// Has it made ready, and gives its version.
    ///
    /// # Errors
    /// If it is not ready.
    pub fn prepare(&mut self, order: &Words) -> Result<String> {
        let line = self.ask("prepare", order)?;
        let ready = answer(&line).map_err(|error| self.blame(error))?;
        match ready {
            ("ready", facts) => Ok(facts.get("version").unwrap_or_default().to_owned()),
            _ => Err(self.blame(format!("\"{line}\" is no answer to prepare"))),
        }
    }

    /// Has it run.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&mut self, order: &Words) -> Result<Done> {
        let line = self.ask("run", order)?;
        Done::parse(&line).map_err(|error| self.blame(error))
    }

    /// Its CPU time so far.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn cpu(&self) -> Result<Cpu> {
        Cpu::of_process(self.child.id()).map_err(|error| self.blame(error))
    }

    fn ask(&mut self, verb: &str, order: &Words) -> Result<String> {
        let orders = self.orders.as_mut().ok_or("it was not dropped")?;
        let asked = writeln!(orders, "{verb} {order}").and_then(|()| orders.flush());
        asked.map_err(|error| self.blame(error))?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.blame("no answer came in time")),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                Err(self.blame(format!("it ended with {status}")))
            }
        }
    }

    fn blame(&self, error: impl std::fmt::Display) -> Box<dyn std::error::Error + Send + Sync> {
        format!("{}: {error}", self.name).into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its orders ends it, and if not, this does.
        self.orders = None;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(5) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // It may have ended just now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        Process::start("sh", command.args(["-c", script]), Path::new("/")).unwrap()
    }

    #[test]
    fn a_process_is_asked_line_by_line() {
        let mut engine = shell(
            "while read verb rest; do case $verb in \
             prepare) echo ready version=1;; run) echo done nanos=7 count=1 sum=2;; esac; done",
        );
        assert_eq!(engine.prepare(&Words::default()).unwrap(), "1");
        let done = engine.run(&Words::default().with("steps", 1)).unwrap();
        assert_eq!(done.time, Duration::from_nanos(7));
    }

    #[test]
    fn what_goes_wrong_names_the_engine() {
        let error = shell("read x; echo error no such file").prepare(&Words::default());
        assert_eq!(error.unwrap_err().to_string(), "sh: no such file");
        let error = shell("read x; exit 3").prepare(&Words::default());
        assert_eq!(
            error.unwrap_err().to_string(),
            "sh: it ended with exit status: 3"
        );
    }
}
