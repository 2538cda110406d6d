//! Inputs that are asked, with sources that note what they were asked for.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::executor::Executor;
use crate::state::StateBound;

const INTERVAL: Duration = Duration::from_millis(10);

fn at(millis: i64) -> BatchTime {
    BatchTime::from_millis(millis)
}

/// What a source was asked for.
type Asked = Arc<Mutex<Vec<Vec<i64>>>>;

/// Gives its time in each batch, and notes what it was asked for.
struct Times<const AHEAD: bool> {
    asked: Asked,
    executor: Arc<Executor>,
}

impl<const AHEAD: bool> Direct<i64> for Times<AHEAD> {
    const AHEAD: bool = AHEAD;

    fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<i64>> {
        let times: Vec<_> = times.iter().map(|time| time.as_millis()).collect();
        self.asked.lock().unwrap().push(times.clone());
        let made = |time| Made {
            rdd: Ok(Some(Rdd::parallelize([time], 1, &self.executor))),
            report: None,
        };
        times.into_iter().map(made).collect()
    }

    fn save(&mut self, time: BatchTime) -> Result<Vec<u8>> {
        Ok(time.as_millis().to_le_bytes().to_vec())
    }

    fn restore(&mut self, _saved: &[u8]) -> Result<()> {
        Ok(())
    }

    fn note(&mut self, times: &[BatchTime]) -> Result<Vec<(BatchTime, Vec<u8>)>> {
        Ok(times.iter().map(|&time| (time, Vec::new())).collect())
    }
}

type TimesNode<const AHEAD: bool> = Arc<DirectNode<i64, Times<AHEAD>>>;

fn graph() -> Arc<Graph> {
    let executor = Executor::of(1);
    let graph = Graph::new("test", INTERVAL, Arc::new(executor), StateBound::default());
    graph.initialize(at(0), None);
    graph
}

fn node<T: Data, S: Direct<T>>(graph: &Arc<Graph>, source: S) -> Arc<DirectNode<T, S>> {
    Arc::new(DirectNode {
        graph: Arc::clone(graph),
        meta: Meta::new(graph, "Test", Location::caller(), INTERVAL, Vec::new()),
        stream_id: StreamId(0),
        name: "Test stream [0]".to_owned(),
        source: Mutex::new(Some(source)),
        pending: Mutex::default(),
        batches: Mutex::default(),
        saved: Mutex::default(),
        notes: OnceLock::new(),
        due: Mutex::new(Due::Nothing),
        stopping: AtomicBool::new(false),
    })
}

fn times<const AHEAD: bool>() -> (TimesNode<AHEAD>, Asked) {
    let graph = graph();
    let asked = Asked::default();
    let source = Times {
        asked: Arc::clone(&asked),
        executor: Arc::clone(graph.executor()),
    };
    (node(&graph, source), asked)
}

fn take(asked: &Asked) -> Vec<Vec<i64>> {
    std::mem::take(&mut asked.lock().unwrap())
}

fn records<const AHEAD: bool>(node: &TimesNode<AHEAD>, time: i64) -> Vec<i64> {
    node.rdd(at(time)).unwrap().unwrap().collect().unwrap()
}

#[test]
fn batches_up_to_the_one_that_is_asked_for_are_made_in_order() {
    let (node, asked) = times::<false>();
    for time in [10, 20, 30, 40] {
        node.cut(at(time));
    }
    assert_eq!(take(&asked), [[0; 0]; 0]);
    assert_eq!(records(&node, 30), [30]);
    assert_eq!(take(&asked), [[10], [20], [30]]);
    assert_eq!(records(&node, 10), [10]);
    assert_eq!(take(&asked), [[0; 0]; 0]);
    // Not cut, or no time of the stream.
    assert_eq!(records(&node, 50), [0; 0]);
    assert_eq!(take(&asked), [[40]]);
    assert!(node.rdd(at(15)).unwrap().is_none());
    assert!(node.rdd(at(0)).unwrap().is_none());
}

#[test]
fn batches_that_wait_are_made_with_the_first_one_if_one_look_serves_all() {
    let (node, asked) = times::<true>();
    for time in [10, 20, 30] {
        node.cut(at(time));
    }
    assert_eq!(records(&node, 10), [10]);
    assert_eq!(take(&asked), [[10, 20, 30]]);
    node.cut(at(40));
    assert_eq!(records(&node, 20), [20]);
    assert_eq!(take(&asked), [[0; 0]; 0]);
    assert_eq!(records(&node, 40), [40]);
    assert_eq!(take(&asked), [[40]]);
}

#[test]
fn what_nobody_asked_for_is_made_before_it_is_forgotten() {
    let (one, asked_one) = times::<false>();
    let (all, asked_all) = times::<true>();
    for time in [10, 20, 30] {
        one.cut(at(time));
        all.cut(at(time));
    }
    one.clear(at(20));
    all.clear(at(20));
    assert_eq!(take(&asked_one), [[10], [20]]);
    assert_eq!(take(&asked_all), [[10, 20, 30]]);
    assert_eq!(records(&one, 20), [0; 0], "forgotten");
    assert_eq!(records(&one, 30), [30]);
}

#[test]
fn nothing_is_kept_of_batches_that_are_done() {
    let (node, asked) = times::<true>();
    for batch in 1..=100_000 {
        let time = at(batch * 10);
        node.cut(time);
        if batch % 3 == 0 {
            node.rdd(time).unwrap();
        }
        if batch % 2 == 0 {
            node.clear(time);
            assert_eq!((node.pending().len(), node.batches().len()), (0, 0));
            take(&asked);
        }
    }
    assert!(node.pending().capacity() < 100);
}

/// Notes that refuses so many times.
#[derive(Default)]
struct Refusing(Mutex<(usize, Vec<BatchTime>)>);

impl Notes for Refusing {
    fn note(&self, _uid: &str, batches: &[(BatchTime, Vec<u8>)]) -> Result<()> {
        let (refusals, noted) = &mut *self.0.lock().unwrap();
        if let Some(left) = refusals.checked_sub(1) {
            *refusals = left;
            return Err(Error::other("no room"));
        }
        noted.extend(batches.iter().map(|(time, _)| *time));
        Ok(())
    }
}

#[test]
fn a_source_is_not_asked_before_what_it_gave_is_noted() {
    let (node, asked) = times::<false>();
    let refusing = Arc::<Refusing>::default();
    let notes = Arc::clone(&refusing) as Arc<dyn Notes>;
    node.note_batches(&Arc::from("numbers"), &notes);
    refusing.0.lock().unwrap().0 = 2;
    let all = [10, 20, 30].map(at);
    all.iter().for_each(|&time| drop(node.cut(time)));
    let errors = all.map(|time| node.rdd(time).err().map(|error| error.to_string()));
    let [first, second, third] = errors;
    assert!(first.unwrap().contains("no room"));
    assert!(second.unwrap().contains("no room"));
    assert_eq!(third, None);
    // The second one had nothing, and has nothing when it comes again.
    assert_eq!(take(&asked), [[10], [30]]);
    assert_eq!(refusing.0.lock().unwrap().1, [10, 30].map(at));
}

/// Waits in its first batch until it is let go, and tells that it was stopped.
struct Slow {
    began: mpsc::Sender<()>,
    release: mpsc::Receiver<()>,
    stopped: mpsc::Sender<()>,
}

impl Direct<u8> for Slow {
    const AHEAD: bool = false;

    fn stop(&mut self) {
        self.stopped.send(()).unwrap();
    }

    fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<u8>> {
        self.began.send(()).unwrap();
        self.release.recv().unwrap();
        let made = |_: &BatchTime| Made {
            rdd: Ok(None),
            report: None,
        };
        times.iter().map(made).collect()
    }

    fn save(&mut self, _time: BatchTime) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn restore(&mut self, _saved: &[u8]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_source_in_use_is_stopped_by_its_user_and_asked_no_more() {
    let (began, has_begun) = mpsc::channel();
    let (let_go, release) = mpsc::channel();
    let (stopped, has_stopped) = mpsc::channel();
    let slow = Slow {
        began,
        release,
        stopped,
    };
    let node = node(&graph(), slow);
    node.cut(at(10));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| node.rdd(at(10)).unwrap().is_none());
        has_begun.recv().unwrap();
        // Neither a cut nor a stop waits for it.
        node.cut(at(20));
        node.stop(false);
        assert!(has_stopped.try_recv().is_err());
        let_go.send(()).unwrap();
        assert!(asking.join().unwrap());
        has_stopped.recv().unwrap();
    });
    let error = node.rdd(at(20)).unwrap_err().to_string();
    let expected = "illegal state: the context was stopped (stream Test stream [0], batch 20 \
                    ms, declared at ";
    assert!(error.starts_with(expected), "{error}");
    node.stop(true);
    assert!(has_stopped.try_recv().is_err(), "once");
}

/// Panics when it is asked where it stands, and tells that it was stopped.
struct Lost(mpsc::Sender<()>);

impl Direct<u8> for Lost {
    const AHEAD: bool = false;

    fn stop(&mut self) {
        self.0.send(()).unwrap();
    }

    fn compute(&mut self, _times: &[BatchTime]) -> Vec<Made<u8>> {
        Vec::new()
    }

    fn save(&mut self, _time: BatchTime) -> Result<Vec<u8>> {
        panic!("no idea");
    }

    fn restore(&mut self, _saved: &[u8]) -> Result<()> {
        panic!("no idea either");
    }
}

#[test]
fn a_source_that_panicked_at_a_checkpoint_is_stopped_all_the_same() {
    let (stopped, has_stopped) = mpsc::channel();
    let node = node(&graph(), Lost(stopped));
    let text = |result: Result<()>| result.unwrap_err().to_string();
    let piece = Piece {
        time: at(10),
        bytes: Vec::new(),
    };
    let restored = text(node.restore(at(10), vec![piece]));
    assert_eq!(
        restored,
        "panic: resuming the input panicked: no idea either"
    );
    let saved = text(node.save(at(20), true).map(|_| ()));
    assert_eq!(saved, "panic: saving the input panicked: no idea");
    node.stop(false);
    has_stopped.try_recv().unwrap();
}
