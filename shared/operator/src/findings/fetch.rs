//! Documents with findings that AWS has: the export in S3, and GuardDuty itself.
//!
//! They are fetched ahead by a thread of their own, in order and several in parallel, and wait while nobody
//! reads them.

mod export;
mod fetched;
mod guardduty;

use std::io::Cursor;
use std::thread;

use aws_config::SdkConfig;
use futures::stream::{BoxStream, StreamExt as _};
use indicatif::ProgressBar;
use tokio::sync::mpsc;

pub(crate) use self::export::Export;
use self::fetched::Fetched;
pub(crate) use self::fetched::Period;
pub(crate) use self::guardduty::Detector;
use super::source::{Document, decompressed};

/// How many that have come may wait to be read.
const WAITING: usize = 16;

/// The source of the documents.
#[derive(Clone, Debug)]
pub(crate) enum Fetch {
    Export(Export),
    Detector(Detector),
}

/// The documents of `fetch`.
pub(crate) fn documents(
    fetch: Fetch,
    sdk: SdkConfig,
    period: Period,
    progress: ProgressBar,
) -> impl Iterator<Item = Document> + Send {
    let (sender, mut receiver) = mpsc::channel(WAITING);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                // Nobody waits for it if the documents were dropped.
                let _ = sender.blocking_send(Fetched::failed("AWS", error.to_string()));
                return;
            }
        };
        runtime.block_on(async {
            let mut documents: BoxStream<'_, Fetched> = match &fetch {
                Fetch::Export(export) => export.documents(&sdk, period).boxed(),
                Fetch::Detector(detector) => detector.documents(&sdk, period).boxed(),
            };
            while let Some(fetched) = documents.next().await {
                if sender.send(fetched).await.is_err() {
                    return;
                }
            }
        });
    });
    std::iter::from_fn(move || receiver.blocking_recv()).map(move |fetched| Document {
        name: fetched.name.into(),
        text: fetched.text.and_then(|bytes| {
            let reader = decompressed(progress.wrap_read(Cursor::new(bytes)));
            reader.map_err(|error| error.to_string())
        }),
        last_known_only: fetched.last_known_only,
    })
}
