//! Findings that the operator sends to see what would be done, over the way of a real one.

use super::Finding;

/// The source of a drill's event. Anybody who may put events onto the bus can send one, and nobody can
/// send one of GuardDuty's: sources that begin with `aws.` are AWS's own,
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>.
pub const DRILL_SOURCE: &str = "guardduty-responder.drill";

impl Finding {
    /// True for a drill. It is a dry run under all settings, and has a record of its own, so a false drill only lowers
    /// what is done. The envelope alone decides: only the sender of an event chooses its source, and the finding's own
    /// statements do not count.
    pub fn is_drill(&self) -> bool {
        self.drill
    }

    /// The same finding, as a drill.
    #[must_use]
    pub fn drilled(self) -> Self {
        Self {
            drill: true,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{event, finding};
    use serde_json::json;

    #[test]
    fn a_drill_is_known_by_the_source_of_its_event() {
        let mut drill = event(json!({}));
        assert!(!Finding::parse(&drill).unwrap().is_drill());
        drill["source"] = json!(DRILL_SOURCE);
        for read in [Finding::parse, Finding::read] {
            assert!(read(&drill).unwrap().is_drill());
        }
        assert!(
            Finding::read_slice(drill.to_string().as_bytes())
                .unwrap()
                .is_drill()
        );
    }

    #[test]
    fn a_finding_cannot_call_itself_a_drill() {
        let of_itself = finding(json!({
            "source": DRILL_SOURCE, "drill": true, "title": "[DRILL]",
            "service": { "additionalInfo": { "drill": true } },
        }));
        assert!(!of_itself.is_drill());
        let mut bare = event(json!({}))["detail"].clone();
        bare["source"] = json!(DRILL_SOURCE);
        assert!(!Finding::parse(&bare).unwrap().is_drill());
    }

    #[test]
    fn a_source_that_only_resembles_is_refused() {
        for source in [
            "guardduty-responder.drills",
            "drill",
            "Guardduty-Responder.Drill",
            "",
        ] {
            let mut other = event(json!({}));
            other["source"] = json!(source);
            let error = Finding::parse(&other).unwrap_err().to_string();
            assert!(error.contains("source"), "{error}");
        }
    }
}
