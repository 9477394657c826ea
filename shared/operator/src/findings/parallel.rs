//! Work on all cores, with the results in the order of the input and a bound on what is under way.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::sync_channel;
use std::thread;

/// How many items may be under way, from being taken from the source until the result is taken.
fn bound() -> usize {
    4 * rayon::current_num_threads() + 2
}

/// Does `work` on the items of `source`, and answers the results in the source's order. The source is read by a
/// thread of its own, and waits while [`bound`] items are under way. Dropping the results ends the reading.
pub(crate) fn ordered<T, R>(
    source: impl Iterator<Item = T> + Send + 'static,
    work: impl Fn(T) -> R + Clone + Send + 'static,
) -> impl Iterator<Item = R>
where
    T: Send + 'static,
    R: Send + 'static,
{
    // One item more is in the reading thread's hand, and one result in the receiver's.
    let (place, places) = sync_channel(bound() - 2);
    let mut reading = Some(thread::spawn(move || {
        for item in source {
            let (done, result) = sync_channel(1);
            if place.send(result).is_err() {
                return;
            }
            let work = work.clone();
            rayon::spawn(move || {
                // Nobody waits for it if the results were dropped.
                let _ = done.send(panic::catch_unwind(AssertUnwindSafe(|| work(item))));
            });
        }
    }));
    std::iter::from_fn(move || match places.recv() {
        Ok(result) => {
            let result = result.recv().ok()?;
            Some(result.unwrap_or_else(|reason| panic::resume_unwind(reason)))
        }
        // The end, or a panic, which must not look like the end.
        Err(_) => {
            if let Some(Err(reason)) = reading.take().map(thread::JoinHandle::join) {
                panic::resume_unwind(reason);
            }
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
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
        let results: Vec<_> = ordered(0..500, slow_first).collect();
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
        for (given, _) in ordered(source, |number| number).enumerate() {
            thread::sleep(Duration::from_millis(1));
            most = most.max(taken.load(Ordering::SeqCst) - given);
        }
        assert!(most <= bound(), "{most} were under way");
        assert!(most > 3, "{most}: the workers were never ahead");
    }

    #[test]
    fn a_source_is_not_read_on_when_the_results_are_dropped() {
        /// Tells when it is dropped, with the thread that reads it.
        struct Source(u64, mpsc::Sender<()>);
        impl Iterator for Source {
            type Item = u64;
            fn next(&mut self) -> Option<u64> {
                self.0 += 1;
                Some(self.0)
            }
        }
        impl Drop for Source {
            fn drop(&mut self) {
                let _ = self.1.send(());
            }
        }
        let (ended, end) = mpsc::channel();
        let mut results = ordered(Source(0, ended), |number| number);
        assert_eq!(results.next(), Some(1));
        drop(results);
        let waited = end.recv_timeout(Duration::from_secs(10));
        waited.expect("the source is read no further");
    }

    #[test]
    fn a_panic_is_not_taken_for_the_end() {
        let work = |number: u64| {
            assert_ne!(number, 5, "five");
            number
        };
        let outcome = panic::catch_unwind(|| ordered(0..10, work).count());
        assert!(outcome.is_err());
        let source = (0..10_u64).inspect(|number| assert_ne!(*number, 5, "five"));
        let outcome = panic::catch_unwind(|| ordered(source, |number| number).count());
        assert!(outcome.is_err());
    }
}
