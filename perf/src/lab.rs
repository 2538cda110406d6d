//! Where everything is: definitions, inputs, engines; and how engines are started.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::data::Data;
use crate::definition;
use crate::process::Process;
use crate::protocol::Words;
use crate::spark;

/// The folders and engines of the laboratory.
#[derive(Debug)]
pub struct Lab {
    /// The folder of this package.
    pub home: PathBuf,
    /// The inputs.
    pub data: Data,
    engines: BTreeMap<String, Kind>,
    programs: PathBuf,
}

/// How an engine is started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Its program, beside the laboratory's own.
    pub program: String,
    /// Which of the program's ways of doing things, if it has several.
    pub variant: Option<String>,
}

impl Lab {
    /// Finds everything, and builds the engines if cargo runs this.
    ///
    /// # Errors
    /// If something is missing or cannot be built.
    pub fn open() -> Result<Self> {
        let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let this = env::current_exe()?;
        let programs = this.parent().ok_or("a program is in a folder")?.to_owned();
        build_engines(&home)?;
        Ok(Self {
            data: Data::in_folder(&home.join("target/data"))?,
            engines: definition::read(&home.join("engines/engines.toml"))?,
            home,
            programs,
        })
    }

    /// The program of millstream, with settings by environment only.
    #[must_use]
    pub fn millstream(&self, environment: &[(&str, String)]) -> Command {
        let mut command = Command::new(self.programs.join("engine-millstream"));
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Starts an engine and has it made ready; gives its version, too. None if it is
    /// not to be had here: the reason is told.
    ///
    /// # Errors
    /// If it is unknown, or fails.
    pub fn start(&self, name: &str, order: Words) -> Result<Option<(Process, String)>> {
        let unknown = || format!("engines.toml has no engine {name}");
        let kind = self.engines.get(name).ok_or_else(unknown)?;
        let mut command = if kind.program == "spark" {
            match spark::command(&self.home)? {
                Ok(command) => command,
                Err(reason) => {
                    eprintln!("skipped {name}: {reason}");
                    return Ok(None);
                }
            }
        } else {
            Command::new(self.programs.join(&kind.program))
        };
        let order = match &kind.variant {
            Some(variant) => order.with("variant", variant),
            None => order,
        };
        let mut process = Process::start(name, &mut command, self.data.folder())?;
        let version = process.prepare(&order)?;
        Ok(Some((process, version)))
    }
}

/// Builds all engines as this program was built. Without cargo they have to be there.
fn build_engines(home: &Path) -> Result<()> {
    let Some(cargo) = env::var_os("CARGO") else {
        return Ok(());
    };
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--bins", "--manifest-path"]);
    build.arg(home.join("Cargo.toml"));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.status()?;
    if !status.success() {
        return Err("the engines do not build".into());
    }
    Ok(())
}
