//! Work on all cores, with the results in the order of the input and a bound on what is under way.

use std::panic;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, bounded};

/// The results of work on the items of a source, in the source's order.
pub(crate) struct Ordered<R> {
    /// A place for each result, in order, filled when the work is done.
    places: Receiver<Receiver<R>>,
    threads: Vec<JoinHandle<()>>,
}

/// How many items may be under way for `workers` workers, from being taken from the source until the
/// result is taken.
pub(crate) fn bound(workers: usize) -> usize {
    4 * workers + 2
}

/// Does `work` on the items of `source` with `workers` threads. The source is read by a thread of its
/// own, and waits while [`bound`] items are under way. Dropping the results ends the threads.
pub(crate) fn ordered<T, R>(
    source: impl Iterator<Item = T> + Send + 'static,
    work: impl Fn(T) -> R + Clone + Send + 'static,
    workers: usize,
) -> Ordered<R>
where
    T: Send + 'static,
    R: Send + 'static,
{
    // One item more is in the reading thread's hand, and one result in the receiver's.
    let (place, places) = bounded(bound(workers) - 2);
    let (job, jobs) = bounded(workers);
    let mut threads = vec![thread::spawn(move || {
        for item in source {
            let (done, result) = bounded(1);
            if place.send(result).is_err() || job.send((item, done)).is_err() {
                return;
            }
        }
    })];
    threads.extend((0..workers).map(|_| {
        let (jobs, work) = (jobs.clone(), work.clone());
        thread::spawn(move || {
            for (item, done) in jobs {
                // Nobody waits for it if the results were dropped.
                let _ = done.send(work(item));
            }
        })
    }));
    Ordered { places, threads }
}

impl<R> Iterator for Ordered<R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        let result = self.places.recv().ok().and_then(|place| place.recv().ok());
        if result.is_none() {
            // The end, or a panic, which must not look like the end.
            for thread in self.threads.drain(..) {
                if let Err(reason) = thread.join() {
                    panic::resume_unwind(reason);
                }
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_source() {
        let slow_first = |number: u64| {
            thread::sleep(Duration::from_micros(if number.is_multiple_of(7) {
                500
            } else {
                0
            }));
            number
        };
        let results: Vec<_> = ordered(0..500, slow_first, 4).collect();
        assert_eq!(results, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_is_under_way_than_the_bound() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let source = (0..200).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let mut most = 0;
        for (given, _) in ordered(source, |number| number, 3).enumerate() {
            thread::sleep(Duration::from_millis(1));
            most = most.max(taken.load(Ordering::SeqCst) - given);
        }
        assert!(most <= bound(3), "{most} were under way");
        assert!(most > 3, "{most}: the workers were never ahead");
    }

    #[test]
    fn a_source_is_not_read_on_when_the_results_are_dropped() {
        let mut results = ordered(0.., |number: u64| number, 2);
        assert_eq!(results.next(), Some(0));
        let threads = std::mem::take(&mut results.threads);
        drop(results);
        for thread in threads {
            thread.join().expect("it ends without a panic");
        }
    }

    #[test]
    fn a_panic_is_not_taken_for_the_end() {
        let work = |number: u64| {
            assert_ne!(number, 5, "five");
            number
        };
        let outcome = panic::catch_unwind(|| ordered(0..10, work, 2).count());
        assert!(outcome.is_err());
    }
}
