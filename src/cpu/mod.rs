//! Which CPUs there are, which thread goes on which of them, and how threads start.
//!
//! A batch of one millisecond leaves no time for a thread to move: a worker that wakes up on
//! another core finds its hash tables in the cache it left, and one that wakes up on another socket
//! also finds its blocks behind the link between the sockets. So each worker is tied to one CPU,
//! workers are grouped by memory node, and receivers get CPUs of their own while there are some
//! left.
//!
//! # Words
//!
//! * **CPU**: what the kernel schedules on, a hardware thread; its id is the kernel's number.
//! * **Core**: a physical core. With SMT several CPUs, its *siblings*, share one core and its
//!   caches.
//! * **Node**: a NUMA node, the CPUs that are near one part of the memory.
//! * **Allowed**: in the affinity mask of this process. A container or `taskset` makes it smaller
//!   than the machine.
//! * **Pinned**: the thread's affinity mask holds one CPU only, or those of one node.
//!
//! # Parts
//!
//! * `cpulist`: the kernel's notation for sets of CPUs, such as `0-3,8`.
//! * [`topology`]: reads the allowed CPUs, their cores and nodes from sysfs.
//! * [`memory`]: how much memory this process may use.
//! * [`placement`]: decides who goes where; pure functions over a topology.
//! * [`thread`]: starts named threads and pins them; `affinity` has the calls for that.
//! * [`keepalive`] and [`writeback`]: calls to the system that concern sockets and files; here, as
//!   this is the floor of such calls.
//!
//! # Invariants
//!
//! * Reading the topology does not fail, and bad files cost bounded time and memory. Whatever piece
//!   cannot be read is replaced by a plain assumption, because a wrong guess costs some speed only.
//! * A topology has at least one node, each node at least one CPU, and no CPU is in two nodes.
//! * Placement gives no CPU to two threads; receivers without one may share those of a node.
//! * A thread pins itself. Nothing here changes the mask of the thread that calls it, except
//!   [`thread::pin_current`], which says so.
//!
//! # Not here
//!
//! The pools (the executor builds them from a placement), binding of memory (blocks rely on first
//! touch: the kernel places a page on the node of the thread that writes it first), CPU hot-plug
//! after the start, cgroup CPU quotas (they limit time, not places), and the choice of how many
//! workers there are.

mod affinity;
mod cpulist;
pub(crate) mod keepalive;
pub(crate) mod memory;
pub(crate) mod placement;
pub(crate) mod thread;
pub(crate) mod topology;
pub(crate) mod writeback;
