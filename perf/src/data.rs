//! Makes the inputs of the workloads, once: files that all engines read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::definition::{Program, Size};
use crate::generate::{Random, SEED, Zipf, needle, text};

/// The folder of the inputs; engines run in it.
#[derive(Clone, Debug)]
pub struct Data {
    folder: PathBuf,
}

impl Data {
    /// The inputs in a folder, which is made if need be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.canonicalize()?,
        })
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of an input.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The name of a program's input, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn input(&self, program: Program, size: &Size) -> Result<String> {
        let records = size.batch * size.batches;
        match program {
            Program::Window | Program::State => {
                let name = format!(
                    "{}x{}-of-{}-zipf-{:.2}.ranks",
                    size.batch, size.batches, size.keys, size.zipf
                );
                self.make(&name, || ranks(size))
            }
            _ => self.make(&format!("{records}-lines.text"), || text(records)),
        }
    }

    fn make(&self, name: &str, contents: impl FnOnce() -> Vec<u8>) -> Result<String> {
        let path = self.path(name);
        if !path.exists() {
            eprintln!("makes {name}");
            // Whole or not at all.
            let part = self.path(&format!("{name}.part"));
            fs::write(&part, contents())?;
            fs::rename(part, path)?;
        }
        Ok(name.to_owned())
    }
}

/// The word that grep looks for: about one line in a thousand has it.
#[must_use]
pub fn wanted_word() -> String {
    needle(1_000)
}

/// The ranks of all batches. Each batch has a seed of its own, so that threads share
/// the work.
fn ranks(size: &Size) -> Vec<u8> {
    let zipf = (size.zipf > 0.0).then(|| Zipf::new(size.keys, size.zipf));
    let batch = |index: usize| -> Vec<u8> {
        let mut random = Random::new(SEED + index as u64);
        let mut draw = || match &zipf {
            Some(zipf) => zipf.draw(&mut random) as u32,
            None => random.below(size.keys as u64) as u32,
        };
        (0..size.batch).flat_map(|_| draw().to_le_bytes()).collect()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = |thread| (thread..size.batches).step_by(threads);
    let made: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
        let work = |thread| scope.spawn(move || share(thread).map(&batch).collect());
        let started: Vec<_> = (0..threads).map(work).collect();
        let ended = started.into_iter().map(|thread| thread.join());
        ended
            .map(|made| made.expect("drawing does not panic"))
            .collect()
    });
    (0..size.batches)
        .flat_map(|index| made[index % threads][index / threads].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    #[test]
    fn ranks_are_below_the_number_of_keys_and_the_same_each_time() {
        let size = Size {
            batch: 100,
            batches: 5,
            keys: 40,
            zipf: 1.0,
            ..Size::default()
        };
        let bytes = ranks(&size);
        assert_eq!(bytes, ranks(&size));
        let ranks = input::ranks(&bytes);
        assert_eq!(ranks.len(), 500);
        assert!(ranks.iter().all(|&rank| rank < 40));
        let low = ranks.iter().filter(|&&rank| rank < 4).count();
        assert!(low > 150, "low ranks come often: {low}");
    }
}
