//! How the incident is released.

use serde_json::Value;

use super::commands::{command, of_member, quoted};
use super::{Incident, Place};
use crate::page::Outside;
use crate::page::words::{folded, words};
use maud::{Markup, html};
use model::plan::Undo;

/// A recorded action, and how it is undone.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The action's name.
    pub action: &'static str,
    /// The resource that it changed.
    pub target: String,
    /// How it is undone.
    pub undo: Undo,
    /// The value that is put back.
    pub found: Value,
}

pub(super) fn section(
    incident: &Incident,
    actions: &Result<Vec<Undone>, String>,
    place: Option<Place<'_>>,
) -> Markup {
    if let Some(released) = &incident.released {
        return html! { p { "It was released " (Outside(released)) "." } };
    }
    if place.is_none() {
        return html! {
            p {
                "The incident could not be recorded, so that " code { "gdr release" } " cannot release it. Put back by \
                 hand the steps under " a href="#done" { "What was done" } ", each value from before."
            }
        };
    }
    if incident.actions.is_empty() {
        return html! { p { "Nothing was changed, so there is nothing to release." } };
    }
    let release = command("release", incident, place);
    html! {
        p {
            "Run this with credentials that may change the resource. The command shows what it would put back, and \
             asks. It refuses if the resource is no longer as the responder left it."
        }
        pre { code { (release) } }
        @match actions {
            Err(problem) => p { (Outside(problem)) },
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
                p { "It puts back, in this order:" }
                (folded(actions.iter().map(one)))
            }
        }
        (of_member())
    }
}

fn one(undone: &Undone) -> Markup {
    html! {
        strong { (undone.action) } " on " (Outside(&undone.target)) ": "
        @match &undone.undo {
            Undo::Restore => details { summary { "the value that was found" } (words(&undone.found)) },
            Undo::RequiresExplicitTarget => "only if the command names it.",
            Undo::Nothing(why) => { "nothing. " (why) "." },
        }
    }
}
