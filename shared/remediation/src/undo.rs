//! How the recorded actions of an incident are undone, as its page shows it.

use crate::page::Undone;
use crate::plan::Action as _;
use crate::record::Incident;
use aws::playbook::Playbook;

/// Reads the recorded actions of the playbook. The one that was done last is undone first.
///
/// # Errors
/// A sentence, if a recorded action cannot be read.
pub fn recorded<P: Playbook>(incident: &Incident) -> Result<Vec<Undone>, String> {
    let mut actions = Vec::new();
    for (key, action) in &incident.actions {
        let action: P::Action = serde_json::from_value(action.clone())
            .map_err(|error| format!("the recorded action {key} cannot be read: {error}"))?;
        actions.push(action);
    }
    actions.sort_by_key(|action| std::cmp::Reverse((action.phase(), action.order())));
    Ok(actions
        .iter()
        .map(|action| Undone {
            action: action.name(),
            target: action.target(),
            undo: action.undo(),
            found: action.from(),
        })
        .collect())
}
