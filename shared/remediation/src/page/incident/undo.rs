//! How the incident is released.

use serde_json::Value;

use super::{Incident, Place, command, of_member, quoted};
use crate::catalogue::Category;
use crate::page::{Json, Outside};
use crate::plan::{Action, Undo};
use crate::playbook::{Playbook, ec2::Ec2, iam::Iam, s3::S3};
use maud::{Markup, html};

/// What becomes of a recorded action.
struct Undone {
    action: &'static str,
    target: String,
    undo: Undo,
    /// What is put back.
    found: Value,
}

pub(super) fn section(incident: &Incident, place: Option<Place<'_>>) -> Markup {
    if let Some(released) = &incident.released {
        return html! { p { "It was released " (Outside(released)) "." } };
    }
    if place.is_none() {
        return html! {
            p {
                "The incident could not be recorded, so that " code { "gdr release" } " knows nothing of it. Put \
                 back by hand what is above under " a href="#done" { "What was done" } ", each value from before."
            }
        };
    }
    if incident.actions.is_empty() {
        return html! { p { "Nothing was changed, so there is nothing to release." } };
    }
    let actions = actions(incident);
    let release = command("release", incident, place);
    html! {
        p {
            "With the credentials of a person who may change the resource. It shows what it would put back and \
             asks; it refuses where the world is no longer as the responder left it."
        }
        pre { code { (release) } }
        @match actions {
            Err(problem) => p { (Outside(&problem)) },
            Ok(actions) => {
                @let named = actions.iter().filter(|it| it.undo == Undo::RequiresExplicitTarget);
                @let named: Vec<_> = named.map(|it| it.target.as_str()).collect();
                @if !named.is_empty() {
                    p {
                        "An access key stays inactive unless it is named, since whoever stole it has it still. \
                         Better issue a new one. To activate it again all the same:"
                    }
                    pre { code {
                        (release)
                        @for key in named { " --reactivate-key " (quoted(key)) }
                    } }
                }
                @for undone in &actions { (one(undone)) }
            }
        }
        (of_member())
    }
}

fn one(undone: &Undone) -> Markup {
    html! {
        h3 { (undone.action) }
        p { (Outside(&undone.target)) }
        @match &undone.undo {
            Undo::Restore => { p { "Is put back to what was found:" } (Json(&undone.found)) },
            Undo::RequiresExplicitTarget => p { "Is put back only if it is named." },
            Undo::Nothing(why) => p { "Stays: " (why) "." },
        }
    }
}

/// What was done last is undone first.
fn actions(incident: &Incident) -> Result<Vec<Undone>, String> {
    match incident
        .known_category()
        .map_err(|error| error.to_string())?
    {
        Category::S3 => typed::<S3>(incident),
        Category::Iam => typed::<Iam>(incident),
        Category::Ec2 => typed::<Ec2>(incident),
        Category::Triage => Ok(Vec::new()),
    }
}

fn typed<P: Playbook>(incident: &Incident) -> Result<Vec<Undone>, String> {
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
