//! Who goes where: the CPUs of the workers and of the receivers.
//!
//! All CPUs are put into one order, the *spread*, from the best to the last resort. Workers take
//! from its front, receivers from what is left:
//!
//! 1. A CPU whose core is still free comes before one whose sibling is already in the order: two
//!    workers on one core share its units and caches.
//! 2. Among these the nodes take turns in proportion to their size, so that any number of workers
//!    uses the memory channels of all nodes as evenly as it can.
//!
//! Receivers get no CPU when none is left for them: on two cores with two workers the kernel
//! places them better, moment by moment, than a fixed choice could. Where there are several nodes
//! each is kept on the CPUs of one, so that its blocks stay there.

use super::topology::{Node, Topology};

/// Where one worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerSlot {
    /// Its node, as an index into [`Placement::nodes`].
    pub(crate) node: usize,
    /// The CPU to pin it to; `None` leaves it to the kernel.
    pub(crate) cpu: Option<usize>,
}

/// The workers of one NUMA node, that is of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeSlots {
    /// The kernel's number of the node.
    pub(crate) id: usize,
    /// Never empty.
    pub(crate) workers: Vec<WorkerSlot>,
    /// All its CPUs that this process may use.
    cpus: Vec<usize>,
}

/// Where a receiver runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiverSlot {
    /// The CPUs to pin it to; none leave it to the kernel.
    pub(crate) cpus: Vec<usize>,
    /// The node that its blocks are on and whose workers take them, as an index into
    /// [`Placement::nodes`]. None if it makes no difference.
    pub(crate) home: Option<usize>,
}

/// The places of all workers and receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    nodes: Vec<NodeSlots>,
    /// Places of the first receivers, on CPUs without a worker.
    free: Vec<WorkerSlot>,
    /// Nodes by turns, each as often as it has workers: for the receivers without a CPU.
    turns: Vec<usize>,
    pinned: bool,
}

impl Placement {
    /// Places `workers` workers, at least one, on the CPUs of `topology`.
    ///
    /// More workers than CPUs go round again through the nodes, those beyond the CPUs unpinned.
    /// With `pin` false, or CPUs that cannot be pinned, no thread gets a CPU; the grouping by nodes
    /// stays the same.
    pub(crate) fn plan(topology: &Topology, workers: usize, pin: bool) -> Self {
        let spread = spread(topology);
        let workers = workers.max(1);
        let pin = pin && topology.pinnable;
        let taken = || spread.iter().cycle().take(workers);

        let mut cpus_by_node: Vec<Vec<Option<usize>>> = vec![Vec::new(); topology.nodes.len()];
        for (turn, &(at, cpu)) in taken().enumerate() {
            cpus_by_node[at].push((pin && turn < spread.len()).then_some(cpu));
        }

        // Few workers may leave nodes without one. Those have no pool, so they vanish and the
        // others move up.
        let mut index = vec![None; topology.nodes.len()];
        let mut nodes: Vec<NodeSlots> = Vec::new();
        for (at, cpus) in cpus_by_node
            .into_iter()
            .enumerate()
            .filter(|(_, cpus)| !cpus.is_empty())
        {
            let node = nodes.len();
            index[at] = Some(node);
            let workers = cpus
                .into_iter()
                .map(|cpu| WorkerSlot { node, cpu })
                .collect();
            nodes.push(NodeSlots {
                id: topology.nodes[at].id,
                workers,
                cpus: topology.nodes[at].cpus.iter().map(|cpu| cpu.id).collect(),
            });
        }

        let free = spread.iter().skip(workers).filter(|_| pin);
        // A CPU far from all workers is no place for a receiver: each of its blocks would be read
        // from afar.
        let free = free.filter_map(|&(at, cpu)| {
            Some(WorkerSlot {
                node: index[at]?,
                cpu: Some(cpu),
            })
        });
        let turns = taken().filter_map(|&(at, _)| index[at]);
        Self {
            free: free.collect(),
            turns: turns.collect(),
            nodes,
            pinned: pin,
        }
    }

    /// The nodes that have workers, by ascending id, with their places.
    pub(crate) fn nodes(&self) -> &[NodeSlots] {
        &self.nodes
    }

    /// The CPU of receiver thread `i`, shared with no worker and no other receiver; `None` when all
    /// such CPUs are taken by the receivers before it.
    fn receiver_cpu(&self, i: usize) -> Option<usize> {
        self.free.get(i)?.cpu
    }

    /// Whether it makes a difference which node data is on: there are several, and threads stay on
    /// theirs.
    pub(crate) fn has_homes(&self) -> bool {
        self.pinned && self.nodes.len() > 1
    }

    /// The place of receiver thread `i`. It gets the CPU that it prefers if there is one for it at
    /// all.
    pub(crate) fn receiver(&self, i: usize, preferred: Option<usize>) -> ReceiverSlot {
        let own = self.receiver_cpu(i).map(|cpu| preferred.unwrap_or(cpu));
        let home = self.has_homes().then(|| match own {
            Some(cpu) => self.nodes.iter().position(|node| node.cpus.contains(&cpu)),
            None => Some(self.receiver_node(i)),
        });
        let home = home.flatten();
        let cpus = match (own, home) {
            (Some(cpu), _) => vec![cpu],
            (None, Some(node)) => self.nodes[node].cpus.clone(),
            (None, None) => Vec::new(),
        };
        ReceiverSlot { cpus, home }
    }

    /// Whether a worker is pinned to this CPU.
    pub(crate) fn has_worker_on(&self, cpu: usize) -> bool {
        let mut workers = self.nodes.iter().flat_map(|node| &node.workers);
        workers.any(|worker| worker.cpu == Some(cpu))
    }

    /// What is wrong when so many receivers are to run beside pinned workers: some
    /// have no CPU of their own, and take turns with a worker on its. Nothing is if
    /// no worker is pinned, as the kernel moves them all.
    pub(crate) fn crowded(&self, receivers: usize) -> Option<String> {
        let pinned = |node: &NodeSlots| node.workers.iter().filter(|w| w.cpu.is_some()).count();
        let workers: usize = self.nodes.iter().map(pinned).sum();
        let without = receivers.saturating_sub(self.free.len());
        if workers == 0 || without == 0 {
            return None;
        }
        let remedy = match workers.saturating_sub(without) {
            0 => "do not pin, or read several sources in one receiver".to_owned(),
            fewer => format!("set workers to {fewer}"),
        };
        Some(format!(
            "{without} of {receivers} receivers have no core of their own beside {workers} pinned \
             workers, and slow these down: {remedy}"
        ))
    }

    /// The node whose workers take the blocks of receiver `i`, as an index into
    /// [`nodes`](Self::nodes).
    ///
    /// It is the node of its CPU; receivers without one are spread over the nodes in proportion to
    /// their workers.
    fn receiver_node(&self, i: usize) -> usize {
        match self.free.get(i) {
            Some(slot) => slot.node,
            None => self.turns[(i - self.free.len()) % self.turns.len()],
        }
    }
}

/// All CPUs as `(index of the node, CPU)`, in the order in which threads should take them.
///
/// To let nodes take turns in proportion to their size, CPU `j` of the `n` of a node is put at
/// `(2j + 1) / 2n` of the way from 0 to 1, and the CPUs of all nodes are read along that way.
/// Siblings of used cores go the same way after them, rank by rank.
fn spread(topology: &Topology) -> Vec<(usize, usize)> {
    /// A CPU and the fraction `place / size` at which it is read.
    struct Stop {
        smt_rank: usize,
        place: usize,
        size: usize,
        node: usize,
        cpu: usize,
    }

    let mut stops = Vec::new();
    for (node, Node { cpus, .. }) in topology.nodes.iter().enumerate() {
        let ranks = cpus
            .iter()
            .map(|cpu| cpu.smt_rank)
            .max()
            .map_or(0, |highest| highest + 1);
        for smt_rank in 0..ranks {
            let same_rank = || cpus.iter().filter(|cpu| cpu.smt_rank == smt_rank);
            let size = same_rank().count();
            stops.extend(same_rank().enumerate().map(|(j, cpu)| {
                let place = 2 * j + 1;
                Stop {
                    smt_rank,
                    place,
                    size,
                    node,
                    cpu: cpu.id,
                }
            }));
        }
    }
    stops.sort_by(|a, b| {
        let along = (a.place * b.size).cmp(&(b.place * a.size));
        a.smt_rank
            .cmp(&b.smt_rank)
            .then(along)
            .then(a.node.cmp(&b.node))
    });
    stops
        .into_iter()
        .map(|stop| (stop.node, stop.cpu))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn topology(tree: &str, allowed: &[usize]) -> Topology {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sysfs");
        Topology::read(&Path::new(root).join(tree), allowed)
    }

    /// The CPUs of the workers, by the id of the node.
    fn workers(placement: &Placement) -> Vec<(usize, Vec<Option<usize>>)> {
        for (index, node) in placement.nodes().iter().enumerate() {
            assert!(node.workers.iter().all(|slot| slot.node == index));
        }
        let cpus = |node: &NodeSlots| node.workers.iter().map(|slot| slot.cpu).collect();
        placement
            .nodes()
            .iter()
            .map(|node| (node.id, cpus(node)))
            .collect()
    }

    /// CPU and node of the first `count` receivers.
    fn receivers(placement: &Placement, count: usize) -> Vec<(Option<usize>, usize)> {
        (0..count)
            .map(|i| (placement.receiver_cpu(i), placement.receiver_node(i)))
            .collect()
    }

    fn pinned(cpus: &[usize]) -> Vec<Option<usize>> {
        cpus.iter().copied().map(Some).collect()
    }

    #[test]
    fn two_cores_with_two_workers_leave_receivers_unpinned() {
        let placement = Placement::plan(&topology("one_node", &[0, 1]), 2, true);
        assert_eq!(workers(&placement), [(0, pinned(&[0, 1]))]);
        assert_eq!(receivers(&placement, 2), [(None, 0), (None, 0)]);
    }

    #[test]
    fn two_cores_with_one_worker_have_one_for_a_receiver() {
        let placement = Placement::plan(&topology("one_node", &[0, 1]), 1, true);
        assert_eq!(workers(&placement), [(0, pinned(&[0]))]);
        assert_eq!(receivers(&placement, 2), [(Some(1), 0), (None, 0)]);
    }

    #[test]
    fn nodes_take_turns_and_receivers_stay_apart() {
        let placement = Placement::plan(&topology("two_nodes", &[0, 1, 2, 3, 4, 5, 6, 7]), 5, true);
        assert_eq!(
            workers(&placement),
            [(0, pinned(&[0, 1, 2])), (1, pinned(&[4, 5]))]
        );
        let apart = [(Some(6), 1), (Some(3), 0), (Some(7), 1)];
        assert_eq!(receivers(&placement, 3), apart);
        // The others go where the workers are: three turns for node 0, two for node 1.
        let unpinned: Vec<_> = (3..9).map(|i| placement.receiver_node(i)).collect();
        assert_eq!(unpinned, [0, 1, 0, 1, 0, 0]);
        assert_eq!(placement.receiver_cpu(3), None);
    }

    /// The mask leaves six CPUs on node 0 and two on node 1.
    #[test]
    fn container_mask_is_filled_in_proportion() {
        let topology = topology("container_mask", &[0, 1, 2, 3, 4, 5, 14, 15]);
        let order: Vec<usize> = spread(&topology).into_iter().map(|(_, cpu)| cpu).collect();
        assert_eq!(order, [0, 1, 14, 2, 3, 4, 15, 5]);
        let placement = Placement::plan(&topology, 4, true);
        assert_eq!(
            workers(&placement),
            [(0, pinned(&[0, 1, 2])), (1, pinned(&[14]))]
        );
        assert_eq!(
            receivers(&placement, 4),
            [(Some(3), 0), (Some(4), 0), (Some(15), 1), (Some(5), 0)]
        );
    }

    #[test]
    fn nodes_without_workers_vanish_together_with_their_free_cpus() {
        let placement = Placement::plan(&topology("container_mask", &[2, 8, 9, 10]), 1, true);
        assert_eq!(workers(&placement), [(1, pinned(&[8]))]);
        assert_eq!(
            receivers(&placement, 3),
            [(Some(9), 0), (Some(10), 0), (None, 0)]
        );
    }

    #[test]
    fn siblings_come_last() {
        let topology = topology("smt", &[0, 1, 2, 3, 4, 5, 6, 7]);
        let four = Placement::plan(&topology, 4, true);
        assert_eq!(workers(&four), [(0, pinned(&[0, 1])), (1, pinned(&[2, 3]))]);
        assert_eq!(receivers(&four, 2), [(Some(4), 0), (Some(6), 1)]);
        let five = Placement::plan(&topology, 5, true);
        assert_eq!(
            workers(&five),
            [(0, pinned(&[0, 1, 4])), (1, pinned(&[2, 3]))]
        );
        // Receivers, too, prefer whole cores.
        let two = Placement::plan(&topology, 2, true);
        assert_eq!(
            receivers(&two, 3),
            [(Some(1), 0), (Some(3), 1), (Some(4), 0)]
        );
    }

    #[test]
    fn offline_cpus_get_nobody() {
        let placement = Placement::plan(&topology("offline", &[0, 1, 2, 3, 4, 5, 6, 7]), 4, true);
        assert_eq!(
            workers(&placement),
            [(0, pinned(&[0, 2])), (1, pinned(&[6, 7]))]
        );
        assert_eq!(receivers(&placement, 2), [(Some(3), 0), (None, 0)]);
    }

    #[test]
    fn without_sysfs_there_is_one_node() {
        let placement = Placement::plan(&topology("empty", &[2, 5, 6]), 2, true);
        assert_eq!(workers(&placement), [(0, pinned(&[2, 5]))]);
        assert_eq!(receivers(&placement, 2), [(Some(6), 0), (None, 0)]);
    }

    #[test]
    fn workers_beyond_the_cpus_are_unpinned() {
        let placement = Placement::plan(&topology("container_mask", &[0, 1, 8]), 5, true);
        let expected = [(0, vec![Some(0), Some(1), None]), (1, vec![Some(8), None])];
        assert_eq!(workers(&placement), expected);
        assert_eq!(
            receivers(&placement, 5),
            [(None, 0), (None, 1), (None, 0), (None, 0), (None, 1)]
        );
    }

    #[test]
    fn without_pinning_only_the_grouping_remains() {
        let placement = Placement::plan(&topology("two_nodes", &[0, 1, 4, 5]), 3, false);
        assert_eq!(
            workers(&placement),
            [(0, vec![None, None]), (1, vec![None])]
        );
        assert_eq!(receivers(&placement, 3), [(None, 0), (None, 1), (None, 0)]);
    }

    #[test]
    fn unknown_mask_pins_nobody() {
        let placement = Placement::plan(&topology("one_node", &[]), 2, true);
        assert_eq!(workers(&placement), [(0, vec![None, None])]);
        assert_eq!(receivers(&placement, 1), [(None, 0)]);
    }

    #[test]
    fn there_is_always_a_worker() {
        let placement = Placement::plan(&topology("one_node", &[0, 1]), 0, true);
        assert_eq!(workers(&placement), [(0, pinned(&[0]))]);
    }

    #[test]
    fn receivers_stay_on_their_nodes() {
        let two = topology("two_nodes", &[0, 1, 4, 5]);
        let slot = |cpus: &[usize], home| ReceiverSlot {
            cpus: cpus.to_vec(),
            home,
        };
        let placement = Placement::plan(&two, 3, true);
        assert_eq!(placement.receiver(0, None), slot(&[5], Some(1)));
        assert_eq!(placement.receiver(0, Some(1)), slot(&[1], Some(0)));
        // A CPU that there is not, as far as is known, is no node's.
        assert_eq!(placement.receiver(0, Some(7)), slot(&[7], None));
        assert_eq!(placement.receiver(1, None), slot(&[0, 1], Some(0)));
        assert_eq!(placement.receiver(2, Some(4)), slot(&[4, 5], Some(1)));
        assert_eq!(placement.receiver(3, None), slot(&[0, 1], Some(0)));
        let unpinned = Placement::plan(&two, 3, false);
        assert_eq!(unpinned.receiver(0, Some(4)), ReceiverSlot::default());
        let one = Placement::plan(&topology("one_node", &[0, 1]), 1, true);
        assert_eq!(one.receiver(0, None), slot(&[1], None));
        assert_eq!(one.receiver(1, None), ReceiverSlot::default());
    }

    #[test]
    fn receivers_without_a_cpu_of_their_own_are_told_of() {
        let four = topology("two_nodes", &[0, 1, 2, 3]);
        let plan = |workers, pin| Placement::plan(&four, workers, pin);
        assert_eq!(plan(4, false).crowded(9), None, "nothing is pinned");
        assert_eq!(plan(2, true).crowded(2), None);
        assert_eq!(plan(4, true).crowded(0), None);
        let told = |workers, receivers| plan(workers, true).crowded(receivers).unwrap();
        assert_eq!(
            told(3, 2),
            "1 of 2 receivers have no core of their own beside 3 pinned workers, and slow these \
             down: set workers to 2"
        );
        assert_eq!(
            told(1, 5),
            "2 of 5 receivers have no core of their own beside 1 pinned workers, and slow these \
             down: do not pin, or read several sources in one receiver"
        );
        let two = plan(2, true);
        let with_worker = (0..6).filter(|&cpu| two.has_worker_on(cpu)).count();
        assert_eq!(with_worker, 2);
        assert!((0..2).all(|i| !two.has_worker_on(two.receiver_cpu(i).unwrap())));
        assert!(!plan(2, false).has_worker_on(0));
    }

    /// Any number of workers on any mask of any tree: the workers are all there, and no CPU has two
    /// threads.
    #[test]
    fn no_cpu_is_given_twice() {
        for tree in [
            "one_node",
            "two_nodes",
            "container_mask",
            "smt",
            "offline",
            "empty",
            "malformed",
        ] {
            for mask in 1..1_usize << 8 {
                let allowed: Vec<usize> = (0..8).filter(|cpu| mask >> cpu & 1 == 1).collect();
                let topology = topology(tree, &allowed);
                for count in [1, 2, 3, 5, 8, 9] {
                    let placement = Placement::plan(&topology, count, true);
                    let slots = || placement.nodes().iter().flat_map(|node| &node.workers);
                    assert_eq!(slots().count(), count);
                    let receivers = (0..9).filter_map(|i| placement.receiver_cpu(i));
                    let mut cpus: Vec<usize> = slots()
                        .filter_map(|slot| slot.cpu)
                        .chain(receivers)
                        .collect();
                    let given = cpus.len();
                    cpus.sort_unstable();
                    cpus.dedup();
                    assert_eq!(cpus.len(), given, "{tree} {allowed:?} {count}");
                    assert!(cpus.iter().all(|cpu| allowed.contains(cpu)));
                    assert!((0..9).all(|i| placement.receiver_node(i) < placement.nodes().len()));
                }
            }
        }
    }
}
