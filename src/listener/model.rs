//! The bus under shuttle: who posts, who is told, and the end.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use shuttle::thread;

use super::bus::Event;
use super::{Bus, SkippedBatchInfo, StreamingListener};
use crate::sync::explore;
use crate::time::BatchTime;

/// What a listener was told: the poster, and the number of the event.
type Told = Arc<Mutex<Vec<(i64, usize)>>>;

/// Notes all that it is told, and panics first if it is `clumsy`.
struct Noting {
    told: Told,
    clumsy: bool,
}

impl Noting {
    fn listen(bus: &Bus, clumsy: bool) -> Told {
        let told = Told::default();
        let listener = Self {
            told: Arc::clone(&told),
            clumsy,
        };
        bus.add("Noting", Box::new(listener));
        told
    }
}

impl StreamingListener for Noting {
    fn on_batch_skipped(&self, skipped: &SkippedBatchInfo) {
        let event = (skipped.batch_time.as_millis(), skipped.queued_batches);
        self.told.lock().unwrap().push(event);
        if self.clumsy {
            // Without the hook, which would take it for a failure of the model.
            resume_unwind(Box::new("expected"));
        }
    }
}

fn post(bus: &Bus, poster: i64, events: usize) {
    for number in 0..events {
        let skipped = SkippedBatchInfo::new(BatchTime::from_millis(poster), number);
        bus.post(|| Event::BatchSkipped(skipped));
    }
}

/// The events of one poster, in the order in which they were told.
fn of(told: &Told, poster: i64) -> Vec<usize> {
    let told = told.lock().unwrap();
    let own = told.iter().filter(|event| event.0 == poster);
    own.map(|event| event.1).collect()
}

fn running(bus: &Arc<Bus>) -> thread::JoinHandle<()> {
    let bus = Arc::clone(bus);
    thread::spawn(move || bus.run())
}

#[test]
fn shuttle_what_was_posted_before_the_end_is_told_once_and_in_order() {
    explore(|| {
        let bus = Arc::new(Bus::default());
        let told = Noting::listen(&bus, false);
        let teller = running(&bus);
        let posters: Vec<_> = (1..=2)
            .map(|poster| {
                let bus = Arc::clone(&bus);
                thread::spawn(move || post(&bus, poster, 3))
            })
            .collect();
        for poster in posters {
            poster.join().unwrap();
        }
        bus.close();
        teller.join().unwrap();
        assert_eq!((of(&told, 1), of(&told, 2)), (vec![0, 1, 2], vec![0, 1, 2]));
        assert!(bus.busy().is_none());
        assert_eq!(bus.dropped(), 0);
    });
}

#[test]
fn shuttle_an_end_while_others_post_leaves_whole_beginnings() {
    explore(|| {
        let bus = Arc::new(Bus::default());
        let early = Noting::listen(&bus, false);
        let teller = running(&bus);
        let poster = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || post(&bus, 1, 4))
        };
        let ender = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || {
                // As a stop does that was given up.
                let _ = bus.busy();
                bus.close();
            })
        };
        let late = Noting::listen(&bus, false);
        for thread in [poster, ender, teller] {
            thread.join().unwrap();
        }
        let early = of(&early, 1);
        assert_eq!(early, (0..early.len()).collect::<Vec<_>>());
        let late = of(&late, 1);
        assert_eq!(late, early[early.len() - late.len()..]);
    });
}

#[test]
fn shuttle_a_listener_that_panics_costs_the_others_nothing() {
    explore(|| {
        let bus = Arc::new(Bus::default());
        let clumsy = Noting::listen(&bus, true);
        let told = Noting::listen(&bus, false);
        let teller = running(&bus);
        let poster = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || post(&bus, 1, 6))
        };
        post(&bus, 2, 6);
        poster.join().unwrap();
        bus.close();
        teller.join().unwrap();
        let all: Vec<_> = (0..6).collect();
        assert_eq!((of(&told, 1), of(&told, 2)), (all.clone(), all));
        assert_eq!(clumsy.lock().unwrap().len(), 10);
    });
}
