//! What a worker has of the epochs that are not over.

use timely::dataflow::operators::Capability;
use timely::progress::frontier::MutableAntichain;

/// Something for each epoch, with the right to send when it is over.
#[derive(Debug)]
pub(crate) struct Epochs<S>(Vec<(Capability<u64>, S)>);

impl<S: Default> Epochs<S> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// That of the capability's epoch.
    pub(crate) fn at(&mut self, capability: Capability<u64>) -> &mut S {
        let known = self.0.iter().position(|known| known.0 == capability);
        let at = known.unwrap_or_else(|| {
            self.0.push((capability, S::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Takes those that are over.
    pub(crate) fn over(
        &mut self,
        frontier: &MutableAntichain<u64>,
    ) -> impl Iterator<Item = (Capability<u64>, S)> {
        self.0
            .extract_if(.., |(epoch, _)| !frontier.less_equal(epoch.time()))
    }
}
