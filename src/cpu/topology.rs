//! The CPUs this process may use, with their cores and memory nodes, read from sysfs.
//!
//! The affinity mask says which CPUs are allowed, sysfs says how they hang together. Either may be
//! missing or wrong: no `/sys` in a sandbox, a `/sys` made up by the container's runtime, a system
//! other than Linux. Each piece has its own fallback, so a broken file does not take the good ones
//! down with it:
//!
//! | piece | when it cannot be read |
//! | --- | --- |
//! | the mask | one node of CPUs that are counted only; none can be pinned |
//! | `cpu/online` | every allowed CPU counts as online; also when it names no allowed CPU |
//! | `node/node*/cpulist` | see [`Topology::read`]: CPUs without a node stay together |
//! | `thread_siblings_list` | the core follows from `physical_package_id` and `core_id` |
//! | those, too | the CPU is a core of its own |

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
    sync::OnceLock,
    thread::available_parallelism,
};

use super::cpulist::{CpuList, parse_id};

/// The longest file read. A list of every second of 65,536 CPUs takes less than 200,000 bytes.
const MAX_FILE_BYTES: u64 = 1 << 18;

/// The highest node id looked at; the kernel's own limit.
const MAX_NODE_ID: usize = 1_023;

/// The allowed CPUs of the machine, grouped by NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// By ascending id, never empty.
    pub(crate) nodes: Vec<Node>,
    /// Whether threads can be pinned to these CPUs. Otherwise the affinity mask is unknown, and the
    /// CPUs are only counted: their ids are made up.
    pub(crate) pinnable: bool,
}

/// One NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The kernel's number. Numbers may have gaps.
    pub(crate) id: usize,
    /// By ascending id, never empty.
    pub(crate) cpus: Vec<Cpu>,
}

/// One CPU, that is one hardware thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// The kernel's number.
    pub(crate) id: usize,
    /// Its physical core, named by the lowest known CPU of that core, whether allowed or not.
    /// Unlike the `core_id` in sysfs this is unique in the machine.
    pub(crate) core: usize,
    /// How many allowed CPUs of the same core have a lower id. 0 for the one to use first.
    pub(crate) smt_rank: usize,
}

impl Topology {
    /// Reads the machine this process runs on.
    ///
    /// The first call must come from a thread that was not pinned; see [`allowed_cpus`].
    pub(crate) fn detect() -> Self {
        Self::read(Path::new("/sys"), allowed_cpus())
    }

    /// Reads the topology of the `allowed` CPUs from the sysfs mounted at `root`.
    ///
    /// Only CPUs that are both allowed and online count; nodes without such CPUs are left out. A
    /// CPU claimed by several nodes goes to the lowest one. The CPUs that no node claims go to the
    /// lowest node whose list could not be read, as they are likely its own; without such a node
    /// they go to the lowest node there is, as in the kernel; without any node to node 0.
    ///
    /// With no CPU allowed the mask is unknown (the system does not tell, or has more CPUs than the
    /// mask can hold). Sysfs would then show CPUs we may be kept from, so it is not asked at all:
    /// the result is one node with as many CPUs as [`available_parallelism`] counts, and not
    /// [`pinnable`](Self::pinnable).
    pub(crate) fn read(root: &Path, allowed: &[usize]) -> Self {
        if allowed.is_empty() {
            return Self::unpinnable(available_parallelism().map_or(1, usize::from));
        }
        let system = root.join("devices/system");
        let cpus = read_cpus(&system.join("cpu"), allowed);
        Self {
            nodes: group_by_node(&system.join("node"), cpus),
            pinnable: true,
        }
    }

    /// One node of CPUs that are counted but not known.
    fn unpinnable(cpus: usize) -> Self {
        let cpus = (0..cpus)
            .map(|id| Cpu {
                id,
                core: id,
                smt_rank: 0,
            })
            .collect();
        Self {
            nodes: vec![Node { id: 0, cpus }],
            pinnable: false,
        }
    }
}

/// The CPUs in the affinity mask, ascending; empty when the mask is unknown.
///
/// Asked once per process and then remembered, because the answer is the mask of the calling
/// thread: a pinned thread would name its own CPU only. The first call must therefore come from a
/// thread that was not pinned, which is any thread before the first pool or receiver starts.
pub(crate) fn allowed_cpus() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let mut cpus: Vec<usize> = cores.into_iter().map(|core| core.id).collect();
        cpus.sort_unstable();
        cpus
    })
}

/// The CPUs that are allowed and online, by ascending id, with their cores. Not empty if `allowed`
/// is not.
fn read_cpus(folder: &Path, allowed: &[usize]) -> Vec<Cpu> {
    let mut allowed = allowed.to_vec();
    allowed.sort_unstable();
    allowed.dedup();
    // Some container runtimes renumber the online CPUs from 0, while the mask keeps the machine's
    // numbers. The mask is what pinning obeys, so a list that contradicts it altogether is ignored.
    if let Some(online) = read_cpulist(&folder.join("online"))
        && allowed.iter().any(|&cpu| online.contains(cpu))
    {
        allowed.retain(|&cpu| online.contains(cpu));
    }

    let mut core_by_ids = BTreeMap::new();
    let mut threads_by_core: BTreeMap<usize, usize> = BTreeMap::new();
    let mut cpus = Vec::with_capacity(allowed.len());
    for id in allowed {
        let core = read_core(
            &folder.join(format!("cpu{id}/topology")),
            id,
            &mut core_by_ids,
        );
        let threads = threads_by_core.entry(core).or_default();
        cpus.push(Cpu {
            id,
            core,
            smt_rank: *threads,
        });
        *threads += 1;
    }
    cpus
}

/// The core of CPU `id`, from its topology `folder`.
///
/// The list of siblings comes first: it is unique in the machine, while `core_id` starts again in
/// each package, on some machines also in each die. `core_by_ids` remembers which core a pair of
/// ids stands for.
fn read_core(folder: &Path, id: usize, core_by_ids: &mut BTreeMap<(usize, usize), usize>) -> usize {
    let listed = read_cpulist(&folder.join("thread_siblings_list"))
        .filter(|siblings| siblings.contains(id))
        .and_then(|siblings| siblings.first());
    let package = read_id(&folder.join("physical_package_id"));
    let core_id = read_id(&folder.join("core_id"));
    match (listed, package.zip(core_id)) {
        (Some(core), Some(ids)) => {
            core_by_ids.entry(ids).or_insert(core);
            core
        }
        (Some(core), None) => core,
        (None, Some(ids)) => *core_by_ids.entry(ids).or_insert(id),
        (None, None) => id,
    }
}

/// Distributes the CPUs over the nodes described in `folder`.
fn group_by_node(folder: &Path, cpus: Vec<Cpu>) -> Vec<Node> {
    let lists = read_nodes(folder);
    let unreadable = lists.iter().find(|(_, list)| list.is_none());
    let rest = unreadable.or(lists.iter().next()).map_or(0, |(&id, _)| id);
    let mut nodes: BTreeMap<usize, Vec<Cpu>> = BTreeMap::new();
    for cpu in cpus {
        let claims =
            |list: &Option<CpuList>| list.as_ref().is_some_and(|list| list.contains(cpu.id));
        let node = lists
            .iter()
            .find(|(_, list)| claims(list))
            .map_or(rest, |(&id, _)| id);
        nodes.entry(node).or_default().push(cpu);
    }
    nodes
        .into_iter()
        .map(|(id, cpus)| Node { id, cpus })
        .collect()
}

/// The nodes by id, each with its CPUs, or `None` where the list cannot be read.
fn read_nodes(folder: &Path) -> BTreeMap<usize, Option<CpuList>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    let mut nodes = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_prefix("node"))
            .and_then(parse_id);
        if let Some(id) = id.filter(|&id| id <= MAX_NODE_ID) {
            nodes.insert(id, read_cpulist(&entry.path().join("cpulist")));
        }
    }
    nodes
}

fn read_cpulist(path: &Path) -> Option<CpuList> {
    CpuList::parse(&read_text(path)?)
}

/// A file with one number. Kernels write -1 for an unknown id, which is as good as no file.
fn read_id(path: &Path) -> Option<usize> {
    parse_id(read_text(path)?.trim_ascii())
}

/// A small text file; `None` if it is missing, too long or not text.
fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let read = File::open(path)
        .ok()?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .ok()?;
    (read as u64 <= MAX_FILE_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sysfs");

    fn read(tree: &str, allowed: &[usize]) -> Topology {
        let topology = Topology::read(&Path::new(FIXTURES).join(tree), allowed);
        assert!(topology.pinnable);
        topology
    }

    /// Nodes as `(id, [(cpu, core, smt_rank)])`.
    type Shape = Vec<(usize, Vec<(usize, usize, usize)>)>;

    fn shape(topology: &Topology) -> Shape {
        let cpu = |cpu: &Cpu| (cpu.id, cpu.core, cpu.smt_rank);
        topology
            .nodes
            .iter()
            .map(|node| (node.id, node.cpus.iter().map(cpu).collect()))
            .collect()
    }

    /// CPUs without siblings.
    fn single(ids: &[usize]) -> Vec<(usize, usize, usize)> {
        ids.iter().map(|&id| (id, id, 0)).collect()
    }

    #[test]
    fn one_node() {
        assert_eq!(shape(&read("one_node", &[0, 1])), [(0, single(&[0, 1]))]);
    }

    #[test]
    fn two_nodes_and_one_without_cpus() {
        let topology = read("two_nodes", &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            shape(&topology),
            [(0, single(&[0, 1, 2, 3])), (1, single(&[4, 5, 6, 7]))]
        );
    }

    #[test]
    fn container_sees_its_mask_only() {
        let topology = read("container_mask", &[3, 9, 12]);
        assert_eq!(shape(&topology), [(0, single(&[3])), (1, single(&[9, 12]))]);
        assert_eq!(
            shape(&read("container_mask", &[9, 12])),
            [(1, single(&[9, 12]))]
        );
    }

    #[test]
    fn mask_may_be_unordered_and_repeat_itself() {
        assert_eq!(
            read("container_mask", &[12, 3, 9, 3]),
            read("container_mask", &[3, 9, 12])
        );
    }

    #[test]
    fn siblings_share_a_core() {
        let node_0 = vec![(0, 0, 0), (1, 1, 0), (4, 0, 1), (5, 1, 1)];
        let node_1 = vec![(2, 2, 0), (3, 3, 0), (6, 2, 1), (7, 3, 1)];
        let topology = read("smt", &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(shape(&topology), [(0, node_0), (1, node_1)]);
    }

    /// The rank counts allowed siblings: where the first is not allowed, the second is the one to
    /// use first.
    #[test]
    fn smt_rank_follows_the_mask() {
        let topology = read("smt", &[1, 4, 5]);
        assert_eq!(
            shape(&topology),
            [(0, vec![(1, 1, 0), (4, 0, 0), (5, 1, 1)])]
        );
    }

    #[test]
    fn offline_cpus_do_not_count() {
        let topology = read("offline", &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            shape(&topology),
            [(0, single(&[0, 2, 3])), (1, single(&[6, 7]))]
        );
    }

    #[test]
    fn online_list_that_contradicts_the_mask_is_ignored() {
        assert_eq!(shape(&read("one_node", &[4, 7])), [(0, single(&[4, 7]))]);
    }

    #[test]
    fn without_sysfs_each_cpu_is_a_core_of_one_node() {
        for tree in ["empty", "no_such_folder"] {
            assert_eq!(shape(&read(tree, &[2, 5, 6])), [(0, single(&[2, 5, 6]))]);
        }
    }

    #[test]
    fn unknown_mask_counts_cpus_without_pinning() {
        let topology = Topology::read(&Path::new(FIXTURES).join("two_nodes"), &[]);
        let cpus = available_parallelism().unwrap().get();
        assert_eq!(topology, Topology::unpinnable(cpus));
        assert_eq!(shape(&topology), [(0, single(&Vec::from_iter(0..cpus)))]);
    }

    /// Each file of the tree is broken in another way. CPU 2 is claimed by nodes 0 and 1; CPUs 5
    /// and 6 are claimed by none and go to the first node without a readable list. CPUs 1 and 2 are
    /// siblings by their ids.
    #[test]
    fn malformed_files_fall_back_piece_by_piece() {
        let topology = read("malformed", &[0, 1, 2, 3, 4, 5, 6]);
        let node_0 = vec![(0, 0, 0), (1, 1, 0), (2, 1, 1)];
        assert_eq!(
            shape(&topology),
            [(0, node_0), (1, single(&[3, 4])), (2, single(&[5, 6]))]
        );
    }

    #[test]
    fn huge_ids_are_harmless() {
        let huge = [70_000, usize::MAX];
        assert_eq!(shape(&read("malformed", &huge)), [(2, single(&huge))]);
        assert_eq!(shape(&read("empty", &huge)), [(0, single(&huge))]);
    }

    /// Pairs of ids and lists of siblings name the same cores, whichever CPU has lost its list.
    #[test]
    fn ids_stand_for_the_core_that_a_sibling_list_named() {
        let mut core_by_ids = BTreeMap::new();
        let smt = Path::new(FIXTURES).join("smt/devices/system/cpu");
        assert_eq!(
            read_core(&smt.join("cpu6/topology"), 6, &mut core_by_ids),
            2
        );
        // The list in this folder does not hold CPU 9, so its ids decide.
        assert_eq!(
            read_core(&smt.join("cpu6/topology"), 9, &mut core_by_ids),
            2
        );
    }

    #[test]
    fn long_files_are_refused() {
        assert_eq!(read_text(Path::new("/dev/zero")), None);
    }

    #[test]
    fn detects_this_machine() {
        let topology = Topology::detect();
        let cpus: usize = topology.nodes.iter().map(|node| node.cpus.len()).sum();
        assert!(topology.nodes.iter().all(|node| !node.cpus.is_empty()));
        assert!(cpus >= 1);
        assert_eq!(topology, Topology::detect());
    }
}
