//! News: the channels by which a report is sent, and the pages that are stored.

use jiff::Timestamp;

use crate::breaker::Page;
use crate::notify::Channel;
use crate::record::{Incident, Recorded};
use crate::report::{Report, Status, StepReport};

/// True if `report` is to be sent by `channel`. `before`: the recorded incident, if it could be written.
pub(super) fn should_send(
    channel: Channel,
    before: Option<&Recorded>,
    report: &Report,
    refused: Option<Page>,
    now: Timestamp,
) -> bool {
    match refused.filter(|_| channel.is_for_people()) {
        Some(Page::Due) => return true,
        Some(Page::Done) => return false,
        Some(Page::AsUsual) | None => {}
    }
    let news = before.is_none_or(|before| has_changed(channel, before, report, now));
    news && report.status() != Status::Ignored
}

/// True if the status changed since the last notice of `channel`, if something is contained again, or if there is a new
/// plan to approve. No channel gets the same notice twice.
///
/// A containment may stand by the record while nothing that was read says otherwise. Then a notice is due only for two
/// reasons: the target cannot be read and no attempt follows; and a dry run would contain something beside it.
fn has_changed(channel: Channel, before: &Recorded, report: &Report, now: Timestamp) -> bool {
    let told = before.notified.get(&channel).map(String::as_str);
    let unknown = |approval| !before.told_of(approval, now);
    let contained = [
        Status::Contained.as_str(),
        Status::AlreadyContained.as_str(),
    ];
    let again = told == Some(report.status().as_str());
    let still = report.status() == Status::AlreadyContained
        && told.is_some_and(|told| contained.contains(&told));
    // An attempt died that had begun to contain the target once more, and told nobody.
    let still = still && before.kept;
    let unread = matches!(report.status(), Status::Failed | Status::Partial) && !report.is_retried;
    let worth_telling = match report.status() {
        Status::Notified | Status::Failed | Status::Partial | Status::DryRun if before.kept => {
            unread || report.steps().iter().any(StepReport::would_contain)
        }
        _ => true,
    };
    let anew = report.undone() || report.newly_contained;
    anew || report.approval().is_some_and(unknown) || (worth_telling && !(again || still))
}

/// True if the page shows what was done, or what an earlier attempt did and could not store. Other pages are stored
/// with a notice. A drill is no evidence.
pub(super) fn should_store(report: &Report, recorded: Option<&Incident>, news: bool) -> bool {
    let kept = recorded.is_some_and(|incident| incident.stored.is_some());
    let worth = match report.status() {
        Status::Ignored | Status::Rejected | Status::Released => false,
        Status::Contained | Status::Partial | Status::Failed => true,
        Status::AlreadyContained => news || !kept || report.afterwards().is_some(),
        Status::Notified | Status::DryRun => news,
    };
    worth && !report.drill()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::Category;
    use crate::fixtures::{finding, now};
    use serde_json::json;

    fn told(of: &[(Channel, Status)]) -> Recorded {
        Recorded {
            incident: Box::default(),
            notified: of
                .iter()
                .map(|(channel, status)| (*channel, status.as_str().to_owned()))
                .collect(),
            plan: None,
            kept: false,
            undone: false,
            undoing_untold: false,
        }
    }

    fn due(before: Option<&Recorded>, report: &Report, refused: Option<Page>) -> Vec<Channel> {
        let mut channels = Channel::ALL.to_vec();
        channels.retain(|channel| should_send(*channel, before, report, refused, now()));
        channels
    }

    #[test]
    fn each_channel_sends_a_status_once() {
        let finding = finding(json!({}));
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        assert_eq!(due(None, &report, None), Channel::ALL);
        let before = told(&[
            (Channel::Text, Status::Notified),
            (Channel::Chat, Status::Failed),
        ]);
        let open = [Channel::Chat, Channel::Event, Channel::SecurityHub];
        assert_eq!(due(Some(&before), &report, None), open);
        let ignored = Report::ignored(Category::Ec2, &finding, "why".to_owned(), false);
        assert_eq!(due(None, &ignored, None), []);
    }

    #[test]
    fn a_withheld_finding_causes_one_notice_and_an_event_each_time() {
        let finding = finding(json!({}));
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        assert_eq!(due(None, &report, Some(Page::Done)), [Channel::Event]);
        let before = told(&Channel::ALL.map(|channel| (channel, Status::Notified)));
        let people = [Channel::Text, Channel::Chat, Channel::SecurityHub];
        assert_eq!(due(Some(&before), &report, Some(Page::Due)), people);
        assert_eq!(due(Some(&before), &report, Some(Page::AsUsual)), []);
    }

    #[test]
    fn that_someone_undid_a_containment_is_news_to_all() {
        let finding = finding(json!({}));
        let mut report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        report.undone = true;
        let before = told(&Channel::ALL.map(|channel| (channel, Status::Notified)));
        assert_eq!(due(Some(&before), &report, None), Channel::ALL);
    }
}
