//! CPU time, as the system counts it: in its own part and in the program's.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use crate::Result;

/// The unit of the system's counts; the same on all machines.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of all threads of a process, or of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the system, on its behalf.
    pub system: Duration,
}

impl Cpu {
    /// That of a process so far.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn of_process(id: u32) -> Result<Self> {
        Self::read(&id.to_string())
    }

    /// That of this thread so far.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn of_this_thread() -> Result<Self> {
        Self::read("thread-self")
    }

    fn read(whose: &str) -> Result<Self> {
        let file = format!("/proc/{whose}/stat");
        let stat = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        Self::parse(&stat).ok_or_else(|| format!("{file} does not tell CPU times").into())
    }

    fn parse(stat: &str) -> Option<Self> {
        // The second field is a name, which may have spaces.
        let (_, behind_name) = stat.rsplit_once(')')?;
        let mut times = behind_name.split_whitespace().skip(11);
        let mut next = || Some(TICK * times.next()?.parse().ok()?);
        Some(Self {
            user: next()?,
            system: next()?,
        })
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    /// Odd, so that its powers never end.
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

    #[test]
    fn times_are_behind_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 10 0 3 0 250 31 0 0 20 0 2 0 99 1 2";
        let cpu = Cpu::parse(stat).unwrap();
        let ms = |cpu: Cpu| (cpu.user.as_millis(), cpu.system.as_millis());
        assert_eq!(ms(cpu), (2500, 310));
        assert_eq!(ms(cpu - cpu), (0, 0));
        assert_eq!(Cpu::parse("7 (cat) S 1 7"), None);
    }

    #[test]
    fn the_system_tells_them() {
        let mut n = SEED;
        for _ in 0..100_000_000 {
            n = black_box(n.wrapping_mul(SEED));
        }
        let total = |cpu: Cpu| cpu.user + cpu.system;
        let mine = total(Cpu::of_this_thread().unwrap());
        // That takes three cycles each on any machine, and none has more than 10 GHz.
        assert!(mine >= 3 * TICK, "{mine:?}");
        // Other threads count in the process, and both parts are rounded down.
        let all = total(Cpu::of_process(std::process::id()).unwrap());
        assert!(all + 2 * TICK > mine, "{all:?}, {mine:?}");
        let idle = thread::spawn(Cpu::of_this_thread).join().unwrap().unwrap();
        assert_eq!(idle, Cpu::default(), "a thread that did nothing");
        assert_eq!(
            Cpu::of_process(0).unwrap_err().to_string(),
            "/proc/0/stat: No such file or directory (os error 2)"
        );
    }
}
