//! `repartition`: the same records in another number of partitions.

use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe, Sink};
use crate::rdd::shuffle::exchange;
use crate::rdd::{Rdd, at_rest, concat, pieces, weight};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Spreads the records evenly over `partitions` partitions (at least one).
    /// A shuffle; their order is not kept.
    pub fn repartition(self, partitions: usize) -> Rdd<T> {
        let n = partitions.max(1);
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(n, executor, move |executor| {
            let parts = self.partitions()?;
            let dealt = executor
                .fold_pieces(
                    pieces(&parts),
                    weight(&parts),
                    || Dealer {
                        hands: (0..n).map(|_| Vec::new()).collect(),
                        next: 0,
                    },
                    |dealer, part, piece| {
                        parts[part].piece(piece, &mut |chunk| self.feed_chunk(chunk, dealer))
                    },
                )
                .map_err(|error| self.blame(None, error))?;
            let hands = dealt.into_iter().map(|dealer| dealer.hands).collect();
            let merged = exchange(executor, n, hands, weight(&parts), concat)?;
            Ok(at_rest(merged))
        })
    }
}

/// Gives the records to the partitions in turn.
struct Dealer<T> {
    hands: Vec<Vec<T>>,
    next: usize,
}

impl<T> Sink<T> for Dealer<T> {
    #[inline]
    fn push(&mut self, record: T) {
        self.hands[self.next].push(record);
        self.next += 1;
        if self.next == self.hands.len() {
            self.next = 0;
        }
    }
}
