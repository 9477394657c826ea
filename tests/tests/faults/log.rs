//! What a function wrote to its log: the reports, and what it could not record.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing::Subscriber;

#[derive(Clone, Default)]
pub(crate) struct Log {
    reports: Arc<Mutex<Vec<String>>>,
    told: Arc<Mutex<Vec<u8>>>,
}

impl Log {
    pub(crate) fn add(&self, line: &str) -> io::Result<()> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push(line.to_owned());
        Ok(())
    }

    /// Takes warnings and errors.
    pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let told = Arc::clone(&self.told);
        tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || Told(Arc::clone(&told)))
            .finish()
    }

    /// The newest report.
    pub(crate) fn report(&self) -> Option<Value> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values = reports
            .iter()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.find(|report| report["status"].is_string())
    }

    /// The actions that were written here since they could not be recorded, each with what it found.
    pub(crate) fn unrecorded(&self) -> Vec<(String, Value)> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = String::from_utf8_lossy(&told);
        let lines = told
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let kept = lines.filter_map(|line| {
            let fields = &line["fields"];
            let action = serde_json::from_str(fields["action"].as_str()?).ok()?;
            Some((fields["key"].as_str()?.to_owned(), action))
        });
        kept.collect()
    }
}

struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
