//! The rules that settings have to keep, each by itself and with others.

use super::{Conf, KEYS, MEMORY_AND_DISK, Overflow};
use crate::error::{Error, Result};

impl Conf {
    /// Checks every value, however it was set, and the rules between them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the setting, its value, where that
    /// comes from, and the rule.
    ///
    /// # Examples
    ///
    /// ```
    /// use millstream::conf::Conf;
    ///
    /// let error = Conf::new().validate().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "configuration error: batch_interval is not set; \
    ///      set it in the program or by MILLSTREAM_BATCH_INTERVAL, for example to 250ms"
    /// );
    /// ```
    pub fn validate(&self) -> Result<()> {
        let mut conf = self.clone();
        for key in KEYS {
            key.check(&mut conf).map_err(|problem| {
                Error::config(format!(
                    "{}: {problem}; {}",
                    self.describe(key.name),
                    key.expected()
                ))
            })?;
        }
        if self.batch_interval.is_none() {
            return Err(Error::config(
                "batch_interval is not set; \
                 set it in the program or by MILLSTREAM_BATCH_INTERVAL, for example to 250ms",
            ));
        }
        if self.ring_bytes.is_some_and(|ring| self.block_bytes > ring) {
            let (block, ring) = (self.describe("block_bytes"), self.describe("ring_bytes"));
            return Err(Error::config(format!(
                "{block} is more than {ring}: no block fits; lower the first or raise the second"
            )));
        }
        if self.receiver_storage_level == MEMORY_AND_DISK
            && self.receiver_overflow == Overflow::DropOldest
        {
            let level = self.describe("receiver_storage_level");
            let overflow = self.describe("receiver_overflow");
            return Err(Error::config(format!(
                "{level} and {overflow}: what is in a file makes no room when it is dropped; \
                 choose one of them"
            )));
        }
        self.validate_allocation()
    }

    fn validate_allocation(&self) -> Result<()> {
        let describe = |name: &str| self.describe(&format!("dynamic_allocation_{name}"));
        if self.dynamic_allocation_scaling_up_ratio <= self.dynamic_allocation_scaling_down_ratio {
            let (up, down) = (describe("scaling_up_ratio"), describe("scaling_down_ratio"));
            return Err(Error::config(format!(
                "{up} is not more than {down}: workers would come and go at once"
            )));
        }
        let most = self.dynamic_allocation_max_workers.unwrap_or(usize::MAX);
        if self.dynamic_allocation_min_workers > most {
            let (least, most) = (describe("min_workers"), describe("max_workers"));
            return Err(Error::config(format!("{least} is more than {most}")));
        }
        Ok(())
    }
}
