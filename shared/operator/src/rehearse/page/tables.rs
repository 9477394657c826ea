//! The tables: who is affected, when the breaker opens, what is exempt, and what is not contained.

use maud::{Markup, html};
use render::page::{Cell, Outside, Table, folded};
use simulation::{BreakerTrip, Exemption, NotContained, Report};

use super::{MOST, left_off, minute};
use crate::output::counted;

fn table<const N: usize>(
    name: &str,
    headings: [&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) -> Markup {
    let all = rows.len();
    let rows = rows.take(MOST);
    let table = Table {
        name,
        headings: &headings,
        rows: rows.map(|row| row.map(Cell::from).into()).collect(),
    };
    html! { (left_off(all, MOST, "here")) (table.render()) }
}

pub(super) fn hit(report: &Report) -> Markup {
    let rows = report.hit.iter().map(|hit| {
        [
            hit.kind.to_lowercase(),
            hit.name.clone(),
            hit.account_id.clone(),
            minute(hit.first),
            hit.containments.to_string(),
            hit.findings.to_string(),
        ]
    });
    let headings = [
        "Kind",
        "Name",
        "Account",
        "First",
        "Containments",
        "Findings",
    ];
    table("Principals, instances and buckets", headings, rows)
}

pub(super) fn breaker(report: &Report) -> Markup {
    let opening = |opening: &BreakerTrip| {
        [
            minute(opening.at),
            opening.function.to_string(),
            opening.account_id.clone(),
            all_or(opening.crowd.as_ref()),
            opening.places.to_string(),
            opening.withheld.to_string(),
        ]
    };
    let windows = report.windows.iter().map(|window| {
        [
            window.function.to_string(),
            window.account_id.clone(),
            all_or(window.crowd.as_ref()),
            window
                .places
                .map_or("not held".to_owned(), |it| it.to_string()),
            window.most.to_string(),
            window.most_without_breaker.to_string(),
        ]
    });
    html! {
        @if report.openings.is_empty() {
            p { "Never." }
        } @else {
            (table(
                "Openings",
                ["When", "Function", "Account", "Group", "Slots", "Events withheld"],
                report.openings.iter().map(opening),
            ))
        }
        @if !report.windows.is_empty() {
            h3 { "Most containments within a window" }
            (table(
                "Windows",
                ["Function", "Account", "Group", "Slots", "Most", "Without breaker"],
                windows,
            ))
        }
    }
}

fn all_or(crowd: Option<&String>) -> String {
    crowd.cloned().unwrap_or_else(|| "all".to_owned())
}

pub(super) fn exemptions(exemptions: &[Exemption]) -> Markup {
    html! {
        ul { @for exemption in exemptions { li {
            strong { (Outside(&exemption.by)) } " (" (exemption.function.as_str()) "): "
            (Outside(&exemption.reason))
            @if exemption.awaits_approval { ", until an approver approves it" }
            ". " (counted(exemption.findings as u64, "finding")) ", "
            (counted(exemption.targets.len() as u64, "target")) ", first " (minute(exemption.first)) "."
            details {
                summary { "Targets and steps" }
                (left_off(exemption.targets.len(), MOST, "here"))
                @let targets = exemption.targets.iter().take(MOST);
                (folded(targets.map(|target| html! { (Outside(target)) })))
                p.soft { (exemption.steps.iter().copied().collect::<Vec<_>>().join(", ")) }
            }
        } } }
    }
}

/// One entry a reason: a reason may have a hundred types, which no column has room for.
pub(super) fn left_out(left_out: &[NotContained]) -> Markup {
    html! {
        @for left in left_out {
            article {
                h3 { (left.function.as_str()) ": " (Outside(&left.reason)) }
                p { (counted(left.findings as u64, "finding")) ", first " (minute(left.first)) }
                @let types = left.finding_types.iter();
                @let types = types.map(|(kind, count)| html! { (Outside(kind)) ": " (count) });
                (folded(types))
            }
        }
    }
}
