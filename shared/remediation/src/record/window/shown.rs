//! Windows as the operator sees and resets them. A function needs none of it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;

use super::{Opened, Window, int, opened, taken, times};
use crate::error::{CallContext, Result};
use crate::record::{IncidentStore, get, text};

/// A window, as the operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The counted window.
    #[serde(skip)]
    pub window: Window,
    /// How many places there were when one was last taken.
    pub places: usize,
    /// Who has a place, and until when.
    pub taken: BTreeMap<String, Timestamp>,
    /// Since when nothing more is contained.
    pub opened: Option<Opened>,
}

impl Shown {
    /// The counted part of the account.
    pub fn what(&self) -> String {
        let crowd = self.window.crowd.as_ref();
        crowd.map_or_else(|| "all".to_owned(), ToString::to_string)
    }
}

impl IncidentStore {
    /// The windows with a taken slot or a notice at `now`.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn windows(&self, now: Timestamp) -> Result<Vec<Shown>> {
        let mut pages = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("kind = :kind")
            .expression_attribute_values(":kind", text("window"))
            .consistent_read(true)
            .into_paginator()
            .send();
        let now = now.as_millisecond();
        let mut windows = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.during("dynamodb:Scan", &self.table)?;
            let items = page.items.unwrap_or_default();
            windows.extend(items.iter().filter_map(|item| {
                let places = item.get("places").and_then(int).unwrap_or_default();
                Some(Shown {
                    window: Window::from_key(get(item, "pk")?)?,
                    places: usize::try_from(places).unwrap_or_default(),
                    taken: times(&taken(item), now),
                    opened: opened(item, now),
                })
            }));
        }
        windows.retain(|shown| !shown.taken.is_empty() || shown.opened.is_some());
        windows.sort_by(|a, b| a.window.cmp(&b.window));
        Ok(windows)
    }

    /// Frees every slot of a window, and lets a notice be sent again.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn reset(&self, window: &Window) -> Result<()> {
        self.window(window)
            .set_value("taken", AttributeValue::M(HashMap::new()))
            .remove(["opened_by", "opened_at", "open_until"])
            .send()
            .await
    }
}
