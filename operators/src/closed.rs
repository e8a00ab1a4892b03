//! What waits for its epoch to close, and the right to send there: what operators that act on closed epochs share.
//!
//! Law: epochs are handed out in order, each when nothing more can come for it.

use std::collections::BTreeMap;

use timely::dataflow::operators::Capability;

/// Batches by epoch, and the capability that follows the frontier.
pub struct ClosedEpochs<B> {
    waiting: BTreeMap<u64, Vec<B>>,
    /// Gone once the input has ended.
    capability: Option<Capability<u64>>,
}

impl<B> ClosedEpochs<B> {
    pub fn new(capability: Capability<u64>) -> ClosedEpochs<B> {
        ClosedEpochs { waiting: BTreeMap::new(), capability: Some(capability) }
    }

    pub fn push(&mut self, epoch: u64, batch: B) {
        self.waiting.entry(epoch).or_default().push(batch);
    }

    /// The oldest epoch that waits and is closed, what came for it, and the right to send at it. `open` is the first
    /// epoch that something can still come for; `None`: nothing comes any more.
    pub fn next(&mut self, open: Option<u64>) -> Option<(u64, Vec<B>, &Capability<u64>)> {
        let entry = self.waiting.first_entry().filter(|entry| open.is_none_or(|open| *entry.key() < open))?;
        let (epoch, batches) = entry.remove_entry();
        Some((epoch, batches, Self::brought_to(&mut self.capability, epoch)?))
    }

    /// The right to send at an epoch that nothing came for, as long as it is not behind `open`'s.
    pub fn idle(&mut self, epoch: u64) -> Option<&Capability<u64>> {
        self.capability.as_ref().filter(|capability| *capability.time() <= epoch)?;
        Self::brought_to(&mut self.capability, epoch)
    }

    /// Gives up the right to send before `open`.
    pub fn advance(&mut self, open: Option<u64>) {
        match open {
            Some(open) => _ = Self::brought_to(&mut self.capability, open),
            None => self.capability = None,
        }
    }

    fn brought_to(capability: &mut Option<Capability<u64>>, epoch: u64) -> Option<&Capability<u64>> {
        let capability = capability.as_mut()?;
        if *capability.time() < epoch {
            capability.downgrade(&epoch);
        }
        Some(capability)
    }
}
