//! A proof as rows for a terminal: one for each request, with what became of it.

use crate::record::{AttemptResult, Proof, Scene, Tried, Victim};

/// The headings of [`rows`].
pub const HEADINGS: [&str; 7] = [
    "CHECK",
    "VICTIM",
    "WHO",
    "REQUEST",
    "BEFORE",
    "CONTAINED",
    "RELEASED",
];

impl Victim {
    /// Its name for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::PublicBucket => "public bucket",
            Self::StolenKey => "stolen key",
            Self::StolenRoleSession => "stolen role session",
            Self::InfectedInstance => "infected instance",
            Self::HijackedFunction => "hijacked function",
        }
    }
}

/// Whether something was shown, as the first column says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Ok,
    Failed,
    /// The account forbids the attack.
    Skipped,
}

impl Check {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    const fn of(holds: bool) -> Self {
        if holds { Self::Ok } else { Self::Failed }
    }
}

impl Scene {
    /// Whether the victim's scene was shown.
    #[must_use]
    pub fn check(&self) -> Check {
        if self.not_shown.is_some() {
            Check::Skipped
        } else {
            Check::of(self.holds())
        }
    }
}

/// One row for the containment of each victim, and one for each request of an attacker or a bystander.
#[must_use]
pub fn rows(proof: &Proof) -> Vec<[String; HEADINGS.len()]> {
    proof.scenes.iter().flat_map(of_scene).collect()
}

fn of_scene(scene: &Scene) -> Vec<[String; HEADINGS.len()]> {
    let victim = scene.victim.words();
    let row = |check: Check, who: &str, cells: [String; 4]| {
        let [request, before, contained, released] = cells;
        let (check, victim) = (check.word().to_owned(), victim.to_owned());
        [
            check,
            victim,
            who.to_owned(),
            request,
            before,
            contained,
            released,
        ]
    };
    let none = || "-".to_owned();
    if let Some(why) = &scene.not_shown {
        let request = format!("not shown: {why}");
        return vec![row(Check::Skipped, "-", [request, none(), none(), none()])];
    }
    let status = scene.status.as_deref();
    let contained = Check::of(status == Some("contained"));
    let report = [
        scene.finding_type.clone().unwrap_or_else(none),
        none(),
        status.unwrap_or("no report").to_owned(),
        none(),
    ];
    let mut rows = vec![row(contained, "responder", report)];
    for (who, check, tried) in requests(scene) {
        let cells = [
            tried.request.clone(),
            word(tried.before.as_ref()),
            while_contained(tried),
            word(tried.released.as_ref()),
        ];
        rows.push(row(check, who, cells));
    }
    rows
}

/// The requests of a scene: who made it, whether it shows what it must, and the request.
pub(crate) fn requests(scene: &Scene) -> impl Iterator<Item = (&'static str, Check, &Tried)> {
    let attacks = scene.attacks.iter();
    let attacks = attacks.map(|tried| ("attacker", Check::of(tried.was_stopped()), tried));
    let bystanders = scene.bystanders.iter();
    let bystanders = bystanders.map(|tried| ("bystander", Check::of(tried.went_on()), tried));
    attacks.chain(bystanders)
}

/// Whether a request worked, in a word.
#[must_use]
pub fn word(answer: Option<&AttemptResult>) -> String {
    let word = match answer {
        Some(answer) if answer.works => "works",
        Some(_) => "fails",
        None => "-",
    };
    word.to_owned()
}

/// Whether a request worked while the victim was contained, and from when on it did not.
pub(crate) fn while_contained(tried: &Tried) -> String {
    let word = word(tried.contained.as_ref());
    match tried.stopped_after_seconds {
        Some(seconds) => format!("{word} after {seconds:.1} s"),
        None => word,
    }
}

/// The remarks for a reader: why it stopped, and what is left in the account.
#[must_use]
pub fn remarks(proof: &Proof) -> Vec<String> {
    let mut remarks = Vec::new();
    remarks.extend(proof.stopped.iter().map(|why| format!("stopped: {why}")));
    for scene in proof.scenes.iter().filter(|scene| !scene.holds()) {
        let reason = scene.reason.iter();
        remarks.extend(reason.map(|reason| format!("{}: {reason}", scene.victim.words())));
        for (who, check, tried) in requests(scene) {
            if check == Check::Ok {
                continue;
            }
            let why = if who == "attacker" {
                of_attack(tried)
            } else {
                of_bystander(tried)
            };
            remarks.push(format!(
                "{}: {who}: {}: {why}",
                scene.victim.words(),
                tried.request
            ));
        }
        let kept = scene.not_released.iter();
        remarks.extend(kept.map(|why| format!("{}: not released: {why}", scene.victim.words())));
    }
    for left in &proof.removal.left {
        remarks.push(format!("left: {}: {}", left.resource, left.why));
    }
    remarks
}

fn of_attack(tried: &Tried) -> String {
    match (&tried.before, &tried.contained) {
        (None, _) => "it was never tried".to_owned(),
        (Some(before), _) if !before.works => format!(
            "it did not work before the containment, so that it shows nothing: {}",
            before.evidence
        ),
        (_, Some(after)) if after.works => format!("it still works: {}", after.evidence),
        _ => "it was not tried after the containment".to_owned(),
    }
}

fn of_bystander(tried: &Tried) -> String {
    match (&tried.before, &tried.contained) {
        (None, _) => "it was never tried".to_owned(),
        (Some(before), _) if !before.works => {
            format!(
                "it did not work before the containment: {}",
                before.evidence
            )
        }
        (_, Some(after)) if !after.works => {
            format!("the containment broke it: {}", after.evidence)
        }
        _ => "it was not tried after the containment".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{answer, left, proof, scene, tried};

    #[test]
    fn each_request_has_a_row_that_says_when_it_failed_first() {
        let rows = rows(&proof(vec![scene(Victim::StolenKey)]));
        let texts = |row: &[String; 7]| row.join(" | ");
        assert_eq!(
            rows.iter().map(texts).collect::<Vec<_>>(),
            [
                "ok | stolen key | responder | UnauthorizedAccess:IAMUser/TorIPCaller | - | contained | -",
                "ok | stolen key | attacker | ask who it is with the key | works | fails after 4.3 s | works",
                "ok | stolen key | bystander | ask who it is with the other key | works | works | works",
            ]
        );
    }

    #[test]
    fn a_request_that_shows_nothing_is_failed_and_the_remark_says_why() {
        let works = || Some(answer(true));
        let fails = || Some(answer(false));
        for (before, contained, why) in [
            (None, None, "it was never tried"),
            (fails(), fails(), "it did not work before the containment"),
            (works(), works(), "it still works: 200 OK"),
            (works(), None, "it was not tried after the containment"),
        ] {
            let mut scene = scene(Victim::PublicBucket);
            scene.attacks = vec![tried("read it", before, contained)];
            let proof = proof(vec![scene]);
            assert_eq!(rows(&proof)[1][0], "failed", "{why}");
            let remarks = remarks(&proof).join("\n");
            assert!(remarks.contains(why), "{why}: {remarks}");
        }
        for (before, contained, why) in [
            (fails(), fails(), "it did not work before the containment"),
            (works(), fails(), "the containment broke it: 403 Forbidden"),
        ] {
            let mut scene = scene(Victim::PublicBucket);
            scene.bystanders = vec![tried("read it", before, contained)];
            let proof = proof(vec![scene]);
            assert_eq!(rows(&proof)[2][0], "failed", "{why}");
            let remarks = remarks(&proof).join("\n");
            assert!(remarks.contains(why), "{why}: {remarks}");
        }
    }

    #[test]
    fn an_attack_that_the_account_forbids_is_skipped_with_the_reason() {
        let mut forbidden = scene(Victim::PublicBucket);
        forbidden.not_shown = Some("the account blocks public access".to_owned());
        let rows = rows(&proof(vec![forbidden]));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0][0], "skipped");
        assert_eq!(rows[0][3], "not shown: the account blocks public access");
    }

    #[test]
    fn a_failed_release_is_listed_with_its_reason() {
        let mut kept = scene(Victim::StolenKey);
        kept.not_released = Some("the key was deleted".to_owned());
        let remarks = remarks(&proof(vec![kept])).join("\n");
        assert!(
            remarks.contains("stolen key: not released: the key was deleted"),
            "{remarks}"
        );
    }

    #[test]
    fn resources_left_in_the_account_are_listed_with_the_reason() {
        let mut proof = proof(vec![scene(Victim::StolenKey)]);
        assert_eq!(remarks(&proof), [""; 0]);
        proof.removal.left = vec![left()];
        proof.stopped = Some("interrupted".to_owned());
        assert_eq!(
            remarks(&proof),
            [
                "stopped: interrupted",
                "left: vpc-0abc1234def567890: DependencyViolation"
            ]
        );
    }
}
